"""Tab completion in bash: of train.py alone, not of other programs that python is asked to run."""

from collections.abc import MutableMapping, Sequence

from sgdprobe.errors import SettingsError
from sgdprobe.paths import PROJECT_ROOT

# Hydra's own script runs whatever file follows `python`, and changes how bash splits every line.
INSTALL = r"""
_sgdprobe_before=$(complete -p python 2>/dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
_sgdprobe_complete() {
  if [ "${COMP_WORDS[1]}" -ef "TRAIN" ]; then
    local line=${COMP_LINE:0:COMP_POINT}
    local word=${line##* } words
    words=$(COMP_LINE=$line "${COMP_WORDS[0]}" "${COMP_WORDS[1]}" -sc query=bash 2>/dev/null)
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    case $COMP_WORDBREAKS in *=*) COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}") ;; esac
  elif [ -n "$_sgdprobe_before" ] && [ "$_sgdprobe_before" != _sgdprobe_complete ]; then
    "$_sgdprobe_before" "$@"
  fi
}
complete -o nospace -o bashdefault -o default -F _sgdprobe_complete python python3
"""
UNINSTALL = "complete -r python python3; unset -f _sgdprobe_complete"


def install(words: Sequence[str]) -> str:
    """Return the line that bash evaluates to set completion up or to remove it."""
    if "install=bash" in words:
        return INSTALL.strip().replace("TRAIN", str(PROJECT_ROOT / "src" / "train.py"))
    if "uninstall=bash" in words:
        return UNINSTALL
    raise SettingsError("--shell-completion needs install=bash or uninstall=bash")


def complete(environment: MutableMapping[str, str], known: Sequence[str]) -> list[str]:
    """Return the recipes that start with the word being typed; rewrite COMP_LINE for Hydra."""
    line = environment.get("COMP_LINE", "")
    head, space, typed = line.rpartition(" ")
    if not space:
        return []
    words = [f"experiment={word}" if word in known else word for word in head.split(" ")]
    environment["COMP_LINE"] = " ".join([*words, typed])
    is_bare = not typed.startswith(("-", "~", "+")) and "=" not in typed
    return [name for name in known if is_bare and name.startswith(typed)]
