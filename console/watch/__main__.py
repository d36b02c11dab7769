"""``python -m console.watch`` runs a watch in the foreground."""

from console.watch.process import main

raise SystemExit(main())
