"""Two small git repositories that have drifted, made in the demo's folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from console.demo.home import Home

DEPLOY = """\
#!/bin/sh
# Copy the results to where they are served from.
set -eu
cp -R results "${1:?target}"
"""
CHECK = """\
def total(prices):
    return sum(price for _, price in prices)


assert total([("a", 1), ("b", 2)]) == 3
"""
#: Not finished: compiling it fails.
ROLLOUT = """\
def rollout(hosts):
    for host in hosts
        print("updating", host)
"""


class Git:
    """Git in one folder, deaf to the user's and the system's configuration."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self._environment |= {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Demo", "GIT_AUTHOR_EMAIL": "demo@localhost",
            "GIT_COMMITTER_NAME": "Demo", "GIT_COMMITTER_EMAIL": "demo@localhost",
        }  # fmt: skip

    def __call__(self, *arguments: str) -> None:
        """Run one git command. Raises ``OSError`` or ``CalledProcessError``."""
        subprocess.run(
            ["git", "-c", "init.defaultBranch=main", "-c", "gc.auto=0", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
            timeout=30,
        )

    def commit(self, message: str) -> None:
        """Everything that changed, as one commit."""
        self("add", "--all")
        self("commit", "--quiet", "--message", message)


def make_repositories(home: Home) -> None:
    """``site``: dirty, and ahead of its upstream. ``tools``: diverged. The same script is in both.

    Where there is no git, the folders hold the same files without history.
    """
    for name in ("site", "tools"):
        folder = home.code / name
        (folder / "scripts").mkdir(parents=True)
        (folder / "README").write_text(f"The {name} of the demo fleet.\n")
        (folder / "check.py").write_text(CHECK)
        script = folder / "scripts" / "deploy.sh"
        script.write_text(DEPLOY)
        script.chmod(0o755)
    (home.root / "drafts").mkdir()
    (home.root / "drafts" / "rollout.py").write_text(ROLLOUT)
    try:
        _drift(home)
    except (OSError, subprocess.SubprocessError):
        return


def _drift(home: Home) -> None:
    for name in ("site", "tools"):
        git = Git(home.code / name)
        git("init", "--quiet")
        git.commit("Start")
    site, tools = Git(home.code / "site"), Git(home.code / "tools")
    _publish(site)
    (home.code / "site" / "index.html").write_text("<h1>Prices</h1>\n")
    site.commit("Add the front page")
    (home.code / "site" / "README").write_text("The site of the demo fleet, being rewritten.\n")
    (home.code / "site" / "notes.txt").write_text("not committed yet\n")

    (home.code / "tools" / "VERSION").write_text("2\n")
    tools.commit("Version 2")
    _publish(tools)
    tools("reset", "--quiet", "--hard", "HEAD~1")
    (home.code / "tools" / "VERSION").write_text("1.1\n")
    tools.commit("Version 1.1")


def _publish(git: Git) -> None:
    """Make the current commit what ``origin`` has, as after a fetch; there is no server."""
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    git("config", "remote.origin.url", ".")
    git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    git("config", "branch.main.remote", "origin")
    git("config", "branch.main.merge", "refs/heads/main")
