"""`python -m speechbrain_merit`, which is the command `speechbrain-merit`.

Authors
 * The speechbrain-merit developers 2026
"""

from .command_line import main

if __name__ == "__main__":
    raise SystemExit(main())
