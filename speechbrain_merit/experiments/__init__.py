"""Many trainings with one command, and what they found compared.

Authors
 * The speechbrain-merit developers 2026
"""
