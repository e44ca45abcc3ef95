"""``python -m alain_magics`` is ``alain``."""

import sys

from alain_magics.cli import main

sys.exit(main())
