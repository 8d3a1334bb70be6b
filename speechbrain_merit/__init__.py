"""Sparse MERIT for SpeechBrain: enhanced speech and the speaker's emotion.

One model takes noisy speech and returns both the enhanced speech and the
emotion, by routing every frame of self-supervised features through a shared
pool of experts with one gate per task.

Reference: J.-T. Tzeng, C. Busso, C.-C. Lee, "Joint Learning using
Mixture-of-Expert-Based Representation for Speech Enhancement and Robust
Emotion Recognition", IEEE TASLP vol. 34, 2026, arXiv 2509.08470.

Authors
 * The speechbrain-merit developers 2026
"""
