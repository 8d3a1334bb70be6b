"""A training's Brain, its checkpoints, and what it survives.

Authors
 * The speechbrain-merit developers 2026
"""
