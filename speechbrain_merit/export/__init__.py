"""Trained models for other programs, and their model cards.

Authors
 * The speechbrain-merit developers 2026
"""
