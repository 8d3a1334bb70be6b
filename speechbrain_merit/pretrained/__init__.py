"""A trained model as a folder: written, read, borrowed by another training.

The one that comes with the package is in the folder merit-base beside this
file; its README.md tells what it was trained on, under which licence it is, and
how well it does.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path

# What `JointEnhancementClassifier.from_hparams` and the commands load where
# no other model is named.
MERIT_BASE = Path(__file__).parent / "merit-base"
