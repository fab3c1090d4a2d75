#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bash, zsh and fish complete, from the program's own tables.

completions.py [--check] PROGRAM: writes dist/completions, or exits with 1 if
what stands there is not what PROGRAM's tables would make.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
OUT = REPO / "dist" / "completions"
HEAD = """\
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by scripts/completions.py from the tables of blkmon; not by hand.
"""


def short(text):
    """The first clause of a help text, in one line without quotes."""
    text = re.sub(r"\s+", " ", text or "")
    return re.split(r"[;:]( |$)|\.( |$)", text)[0].replace("'", "")


def quoted(words):
    return "'" + "\n".join(words) + "'"


def spellings(row):
    """-c and --command, those of them that there are."""
    if "letter" in row:
        yield "-" + row["letter"]
    if "name" in row:
        yield "--" + row["name"]


def kind(row):
    """What is offered behind an option: a name of one of the shells'
    functions, or None for one that takes no value."""
    if "value" not in row:
        return None
    if row["takes"] != "words":
        return row["takes"]
    return "words" if row["words"] else "text"


def lines(tables):
    """What may be typed at the prompt, as far as a table knows it."""
    found = []
    for row in tables["hmp"]:
        found += [row["name"]] + row["aliases"]
    found += ["info " + row["name"] for row in tables["info"]]
    return sorted(set(found + tables["qmp"]))


# --- bash ---

BASH = HEAD + r"""
# The words of the line as they were typed: bash takes '=' and ':' apart. Sets
# $words and $cur, and $cut, the part of $cur that bash leaves alone.
_blkmon_words()
{
    local line=${COMP_LINE:0:COMP_POINT} i word glued
    words=() cut=
    for ((i = 0; i <= COMP_CWORD; i++)); do
        glued=$i
        [[ $line == [[:space:]]* ]] && glued=0
        line=${line#"${line%%[![:space:]]*}"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=${word:0:${#line}}
        line=${line#"$word"}
        if ((glued)); then
            cut=${words[-1]}
            words[-1]+=$word
        else
            cut=
            words+=("$word")
        fi
    done
    cur=${words[-1]}
    [[ $word == [=:] ]] && cut=$cur
}

# Offers those of the given words, one a line, that begin like $1. What ends
# in '=', ':' or ',' goes on.
_blkmon_offer()
{
    local word
    while IFS= read -r word; do
        [[ $word == "$1"* ]] || continue
        COMPREPLY+=("$3$word")
        [[ $word == *[=:,] ]] && compopt -o nospace
    done <<<"$2"
}

# Files that begin like $1, behind $2, which is not theirs. A quote in it is
# the shell's.
_blkmon_files()
{
    local file part=${1#[\"\']}
    compopt -o filenames
    while IFS= read -r file; do
        COMPREPLY+=("$2$file")
    done < <(compgen -f -- "${part//\\/}")
}

# A line for the prompt, which is one word of the shell: in quotes, or with a
# backslash before each blank.
_blkmon_line()
{
    local i part=${1//\\/}
    _blkmon_offer "${part#[\"\']}" "$_blkmon_lines"
    [[ $1 == [\"\']* ]] && return
    for i in "${!COMPREPLY[@]}"; do
        printf -v COMPREPLY[i] %q "${COMPREPLY[i]}"
    done
}

# KEY=VALUE,...: the last of them.
_blkmon_keys()
{
    local before= last=$1
    if [[ $1 == *,* ]]; then
        before=${1%,*}, last=${1##*,}
    fi
    case $last in
@DRIVE@
    *=*) ;;
    *)  _blkmon_offer "$last" "$_blkmon_drive_keys" "$before" ;;
    esac
}

_blkmon_words_or_files()
{
    if [[ $1 == unix:* ]]; then
        _blkmon_files "${1#unix:}" unix:
    else
        _blkmon_offer "$1" "$2"
    fi
}

# What may stand behind option $1; false if it takes nothing.
_blkmon_value()
{
    case $sub$1 in
@VALUES@
    *)  return 1 ;;
    esac
    return 0
}

_blkmon()
{
    local words cur cut sub= options=$_blkmon_options i
    COMPREPLY=()
    _blkmon_words
    case ${words[1]} in
@SUBS@
    esac
    ((${#words[@]} == 2)) && sub= options=$_blkmon_options
    if [[ $cur == --*=* ]]; then
        _blkmon_value "${cur%%=*}" "${cur#*=}" &&
            COMPREPLY=("${COMPREPLY[@]/#/${cur%%=*}=}")
    elif ((${#words[@]} > 2)) && _blkmon_value "${words[-2]}" "$cur"; then
        :
    elif [[ $cur == -* ]]; then
        _blkmon_offer "$cur" "$options"
    elif [[ -z $sub && $cur =~ ^[A-Za-z0-9_-]+= ]]; then
        _blkmon_files "${cur#*=}" "${cur%%=*}="
    else
        ((${#words[@]} == 2)) && _blkmon_offer "$cur" @SUBNAMES@
        _blkmon_files "$cur"
    fi
    for i in "${!COMPREPLY[@]}"; do
        COMPREPLY[i]=${COMPREPLY[i]#"$cut"}
    done
}

_blkmon_lines=@LINES@
_blkmon_drive_keys=@KEYS@
_blkmon_options=@OPTIONS@
@SUBOPTIONS@
complete -F _blkmon blkmon
"""


def bash_value(row, prefix):
    """The case of one option; `prefix` is the subcommand's."""
    pattern = "|".join(prefix + s for s in spellings(row))
    what = {
        "words": '_blkmon_words_or_files "$2" ' + quoted(row["words"]),
        "file": '_blkmon_files "$2"',
        "line": '_blkmon_line "$2"',
        "keys": '_blkmon_keys "$2"',
        "text": ":",
    }[kind(row)]
    return "    %s) %s ;;" % (pattern, what)


def bash_drive(key):
    if key["takes"] == "file":
        offer = '_blkmon_files "${last#*=}" "$before${last%%=*}="'
    elif key["words"]:
        offer = '_blkmon_offer "${last#*=}" %s "$before${last%%%%=*}="' % \
            quoted(key["words"])
    else:
        return None
    return "    %s=*) %s ;;" % (key["name"], offer)


def bash(tables):
    subs, values, sub_options = [], [], []
    for row in tables["options"]:
        if kind(row):
            values.append(bash_value(row, ""))
    for sub in tables["subcommands"]:
        name = sub["name"]
        subs.append('    %s) sub=%s options=$_blkmon_options_%s ;;'
                    % (name, name, name))
        sub_options.append("_blkmon_options_%s=%s" % (name, quoted(
            s for row in sub["options"] for s in spellings(row))))
        values += [bash_value(row, name) for row in sub["options"]
                   if kind(row)]
    parts = {
        "DRIVE": "\n".join(filter(None, map(bash_drive,
                                            tables["drive-keys"]))),
        "VALUES": "\n".join(values),
        "SUBS": "\n".join(subs),
        "SUBNAMES": quoted(s["name"] for s in tables["subcommands"]),
        "LINES": quoted(lines(tables)),
        "KEYS": quoted(k["name"] + "=" for k in tables["drive-keys"]),
        "OPTIONS": quoted(s for row in tables["options"]
                          for s in spellings(row)),
        "SUBOPTIONS": "\n".join(sub_options),
    }
    return re.sub("@([A-Z]+)@", lambda m: parts[m[1]], BASH)


# --- zsh ---

ZSH = "#compdef blkmon\n" + HEAD + r"""
_blkmon_line()
{
    local -a lines=(
@LINES@
    )
    compadd -a lines
}

_blkmon_drive()
{
    _values -s , key \
@DRIVE@
}

_blkmon_address()
{
    if compset -P 'unix:'; then
        _files
    else
        compadd -S '' "$@"
    fi
}

_blkmon_image()
{
    compset -P '[A-Za-z0-9_-]##='
    _files
}

_blkmon_first()
{
    local -a subcommands=(
@SUBNAMES@
    )
    _describe -t commands command subcommands
    _blkmon_image
}

_blkmon()
{
    setopt local_options extended_glob
    if ((CURRENT > 2)); then
        case $words[2] in
@SUBS@
        esac
    fi
    _arguments -s -S \
@OPTIONS@
        '1:image:_blkmon_first' '*:image:_blkmon_image'
}

_blkmon "$@"
"""


def zsh_text(text):
    return re.sub(r"([\[\]:\\])", r"\\\1", short(text))


def zsh_action(row):
    label = re.sub(r"[^A-Za-z0-9 ]+", " ", row["value"]).strip()
    words = row["words"]
    if any(w.endswith((":", "=", ",")) for w in words):
        action = "_blkmon_address " + " ".join(words).replace(":", r"\:")
    else:
        action = {"file": "_files", "line": "_blkmon_line",
                  "keys": "_blkmon_drive", "text": " ",
                  "words": "(%s)" % " ".join(words)}[kind(row)]
    return ":%s:%s" % (label, action)


def zsh_option(row):
    """One specification of _arguments for each spelling."""
    both = list(spellings(row))
    for spelling in both:
        end = ""
        if kind(row):
            end = "=" if spelling.startswith("--") else "+"
        yield "'*%s%s[%s]%s'" % (spelling, end, zsh_text(row["help"]),
                                 zsh_action(row) if kind(row) else "")


def zsh_options(rows, indent):
    return "\n".join("%s%s \\" % (indent, spec) for row in rows
                     for spec in zsh_option(row))


def zsh_drive(key):
    if key["takes"] == "file":
        action = ":file:_files"
    elif key["words"]:
        action = ":value:(%s)" % " ".join(key["words"])
    else:
        action = ":value: "
    return "'%s[%s]%s'" % (key["name"], key["name"], action)


def zsh(tables):
    subs = []
    for sub in tables["subcommands"]:
        subs.append("        %s)\n            shift words\n"
                    "            ((CURRENT--))\n"
                    "            _arguments -s -S \\\n%s\n"
                    "                '*:image:_files'\n"
                    "            return ;;"
                    % (sub["name"], zsh_options(sub["options"], " " * 16)))
    parts = {
        "LINES": "\n".join("        '%s'" % s for s in lines(tables)),
        "DRIVE": " \\\n".join(" " * 8 + zsh_drive(k)
                              for k in tables["drive-keys"]),
        "SUBNAMES": "\n".join("        '%s:%s'"
                              % (s["name"], zsh_text(s["help"]))
                              for s in tables["subcommands"]),
        "SUBS": "\n".join(subs),
        "OPTIONS": zsh_options(tables["options"], " " * 8),
    }
    return re.sub("@([A-Z]+)@", lambda m: parts[m[1]], ZSH)


# --- fish ---

FISH = HEAD + r"""
function __blkmon_sub
    set -l words (commandline -opc)
    set -q words[2]; and contains -- $words[2] $argv
end

function __blkmon_console
    not __blkmon_sub @SUBNAMES@
end

function __blkmon_first
    test (count (commandline -opc)) -eq 1
end

function __blkmon_lines
    printf '%s\n' @LINES@
end

# Of KEY=VALUE,... the last.
function __blkmon_drive
    set -l token (commandline -ct | string replace -r '^--drive=' '')
    set -l before (string replace -r '[^,]*$' '' -- $token)
    set -l last (string replace -r '^.*,' '' -- $token)
    switch $last
@DRIVE@
        case '*=*'
        case '*'
            printf '%s\n' $before@KEYS@
    end
end

complete -c blkmon -n __blkmon_console -k -F
"""


def fish_value(row):
    words = " ".join(row["words"])
    return {None: "", "file": " -r -F", "line": " -x -a '(__blkmon_lines)'",
            "keys": " -r -F -a '(__blkmon_drive)'", "text": " -r",
            "words": " -%s -a '%s'" % ("r -F" if "unix:" in words else "x",
                                       words)}[kind(row)]


def fish_option(row, condition):
    names = ""
    if "letter" in row:
        names += " -s " + row["letter"]
    if "name" in row:
        names += " -l " + row["name"]
    return "complete -c blkmon -n '%s'%s%s -d '%s'" % (
        condition, names, fish_value(row), short(row["help"]))


def fish_drive(key):
    if not key["words"]:
        return None
    return "        case '%s=*'\n            printf '%%s\\n' %s" % (
        key["name"], " ".join("$before'%s=%s'" % (key["name"], w)
                              for w in key["words"]))


def fish(tables):
    names = " ".join(s["name"] for s in tables["subcommands"])
    parts = {
        "SUBNAMES": names,
        "LINES": " ".join("'%s'" % s for s in lines(tables)),
        "DRIVE": "\n".join(filter(None, map(fish_drive,
                                            tables["drive-keys"]))),
        "KEYS": "{%s}" % ",".join(k["name"] + "="
                                  for k in tables["drive-keys"]),
    }
    text = re.sub("@([A-Z]+)@", lambda m: parts[m[1]], FISH)
    rows = [fish_option(row, "__blkmon_console")
            for row in tables["options"]]
    for sub in tables["subcommands"]:
        rows.append("complete -c blkmon -n __blkmon_first -a %s -d '%s'"
                    % (sub["name"], short(sub["help"])))
        rows += [fish_option(row, "__blkmon_sub " + sub["name"])
                 for row in sub["options"]]
    return text + "\n".join(rows) + "\n"


def main():
    check = "--check" in sys.argv
    tables = json.loads(subprocess.run(
        [sys.argv[-1], "--dump-commands=json"], check=True,
        capture_output=True, text=True).stdout)
    OUT.mkdir(parents=True, exist_ok=True)
    for name, make in (("blkmon.bash", bash), ("_blkmon", zsh),
                       ("blkmon.fish", fish)):
        path, text = OUT / name, make(tables)
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit("dist/completions/%s is behind the tables: run "
                     "scripts/completions.py ./blkmon" % name)


main()
