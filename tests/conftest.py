"""What all tests share.

Authors
 * The speechbrain-merit developers 2026
"""

import os

# The tests run in two processes, and so do the trainings that they start:
# several threads in each would wait for one another. Read when torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
