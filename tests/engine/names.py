# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that something on the way may take for something else: the host's
shell, a command line, the prompt, a header, QEMU."""

# %s is what makes a name one of its kind.
ODD = [
    "%s mit blank", " %s ", "a,b,,%s", "k=v=%s", "50%% %s%%s%%n", "%%41%s",
    "VM:%s", "disk 10:30 %s", ":%s", "file:%s", "nbd:%s", "json:{%s}",
    "\xfcber \u4e16\u754c %s \U0001f4be", "\"%s\"", "\"%s", "it's %s",
    "back\\slash\\n%s\\", "#%s", "-%s", "--%s", "~%s", "~root %s",
    "%s;a&b|c$d`e", "[%s]*?{x}", "%s.", "@%s!",
]

# Those that QEMU takes for a protocol where nothing stands in front.
COLONS = [kind for kind in ODD if ":" in kind]


def odd(rng, tag, kinds=None):
    """A name that has tag in it: of one kind or of two."""
    name = rng.choice(kinds or ODD) % tag
    if rng.random() < 0.3:
        name = rng.choice(ODD) % name
    return name


def long(rng, tag):
    """As long as some programs forget that a name may be."""
    name = odd(rng, tag) + "\xe9".join("x" * 9 for _ in range(30))
    return name.encode()[:200].decode(errors="ignore")


def for_qemu(path):
    """A relative name, so that QEMU does not take its beginning for a
    protocol."""
    return "./" + path if ":" in path.split("/")[0] else path


def quoted(text):
    """As a word at the prompt."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def needs_quotes(text):
    return not text or text[0] in "\"-" or any(c in " \t\n\v\f\r"
                                               for c in text)
