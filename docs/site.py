"""Build the documentation as a website: build/site/index.html. No network is needed.

    python docs/site.py [FOLDER]    pages/ and site/ in another folder than build/

mkdocs reads one folder, while the pages are where GitHub shows them. So the pages of
docs/mkdocs.yml and the files that they link to are first copied to build/pages/, each at its place
in the repository.
"""

import logging
import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "docs/mkdocs.yml"
LINK = re.compile(r"\]\(([^)\s#:]+)[^):]*\)")


def pages() -> list[str]:
    """Return the pages of the website, by their places in the repository."""
    return re.findall(r"^ +- (?:.+: )?(\S+\.md)$", CONFIG.read_text(), re.MULTILINE)


def lay_out(folder: Path) -> None:
    """Copy every page, and every file that a page links to, into the folder."""
    for name in pages():
        page = ROOT / name
        linked = [(page.parent / link).resolve() for link in LINK.findall(page.read_text())]
        for file in [page, *filter(Path.is_file, linked)]:
            copy = folder / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)


def main(folder: Path) -> int:
    """Lay the pages out in pages/ and build site/ from them; a broken link is exit code 1."""
    logging.basicConfig(level="WARNING", format="%(message)s")
    os.environ["NO_MKDOCS_2_WARNING"] = "true"  # mkdocs-material's advertisement
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort
    from pymdownx.slugs import slugify

    pages, site = folder / "pages", folder / "site"
    shutil.rmtree(pages, ignore_errors=True)
    lay_out(pages)
    config = load_config(str(CONFIG), docs_dir=str(pages), site_dir=str(site))
    config.mdx_configs["toc"] = {"slugify": slugify(case="lower")}  # the anchors of GitHub
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    except Abort as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        config.plugins.on_shutdown()
    print(f"open {site / 'index.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"))
