"""Manifests, audio, labels and batches: what training and testing read.

Authors
 * The speechbrain-merit developers 2026
"""
