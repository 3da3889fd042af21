"""Ways to break the text of an annotation file, by chance: json, XML, YAML or a table of numbers."""
import json
import re

# what stands in the place of a name, a number or anything else
NASTY = [
    "", "0", "-1", "1e308", "1e999", "-1e999", "NaN", "nan", "inf", "Infinity", "null", "true", "[]", "{}", "9" * 30,
    "9" * 5000, "0.1" + "1" * 500, "1e-320", "-0", "0x10", "1_0", "\u0663", "2147483648", "9223372036854775808",
    "4294967296", "../secret.jpg", "../../secret.jpg", "/etc/passwd", "{secret}", "..", ".", "/", "\\",
    "..\\secret.jpg", "a\0b", "\\u0000", "\\ud800", "\ud7ff", "\u202e", "a" * 100_000, "%s%n", "*a", "&a", "<<",
    "!!python/object:os.system", "1.jpg", "2.jpg", "train", "val", "cat", "polygon", "box", "mask", "circle",
    "rectangle", "person"]
VALUES = [
    None, True, False, 0, -1, 1, 2, 0.5, 1e308, float("inf"), float("nan"), 10**18, 10**30, -10**30, "", "1",
    "a" * 5000, "../secret.jpg", "/etc/passwd", "a\0b", "\ud800", [], {}, [[]], [[], []], {"a": 1}, [None] * 6,
    ["1"] * 6, [1e30] * 8, [float("nan")] * 8, [0] * 7, [[0, 0]] * 4, {"size": [60, 80], "counts": "0"},
    {"size": [60, 80], "counts": [1] * 10}, {"size": [10**9, 10**9], "counts": [10**18]},
    {"size": [60, 80], "counts": "o" * 5000}, {"size": [60, 80], "counts": [-5, 4805]}]
TOKEN = re.compile(r'"[^"\n]*"|[-+\w./\\]+')
DEEP = 50_000
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghi", "bcdefghij")) + "]>"
EXTERNAL = '<!DOCTYPE a [<!ENTITY j SYSTEM "file://{secret}"><!ENTITY % k SYSTEM "file:///etc/passwd"> %k;]>'


def mutate(content, rng, secret):
    """
    Args:
        content (bytes): of a file
        rng: numpy.random.Generator
        secret (str): path of a file that must not be opened

    Returns:
        bytes
    """
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        content = MUTATIONS[rng.integers(len(MUTATIONS))](content, rng)
    return content.replace(b"{secret}", secret.encode())


# bytes --------------------------------------------------------------------------------------------------------------
def flip_bytes(content, rng):
    changed = bytearray(content)
    for _ in range(rng.integers(1, 10) if content else 0):
        changed[rng.integers(len(changed))] = rng.integers(256)
    return bytes(changed)


def cut(content, rng):
    return content[:rng.integers(len(content) + 1)]


def delete_part(content, rng):
    begin, end = _part(content, rng)
    return content[:begin] + content[end:]


def repeat_part(content, rng):
    begin, end = _part(content, rng)
    return content[:end] + content[begin:end] * int(rng.integers(1, 50)) + content[end:]


def move_part(content, rng):
    begin, end = _part(content, rng)
    rest = content[:begin] + content[end:]
    place = rng.integers(len(rest) + 1)
    return rest[:place] + content[begin:end] + rest[place:]


def _part(content, rng):
    begin = int(rng.integers(len(content) + 1))
    return begin, min(len(content), begin + int(rng.integers(200)))


# texts --------------------------------------------------------------------------------------------------------------
def replace_token(content, rng):
    """A number, a word or a text in quotation marks becomes another, or one of the nasty ones."""
    text = content.decode("utf-8", "replace")
    tokens = list(TOKEN.finditer(text))
    if not tokens:
        return content
    token = tokens[rng.integers(len(tokens))]
    new = NASTY[rng.integers(len(NASTY))] if rng.random() < 0.7 else tokens[rng.integers(len(tokens))][0]
    if token[0].startswith('"') and not new.startswith('"') and rng.random() < 0.7:
        new = f'"{new}"'
    return (text[:token.start()] + new + text[token.end():]).encode("utf-8", "replace")


def repeat_line(content, rng):
    lines = content.split(b"\n")
    line = lines[rng.integers(len(lines))]
    return content + b"\n" + b"\n".join([line] * int(rng.integers(1, 100)))


def nest(content, rng):
    """Something that is nested deeply, in the place of a token."""
    opening, closing = [("[", "]"), ('{"a":', "}"), ("<a>", "</a>"), ("- ", ""), ("{a: ", "}")][rng.integers(5)]
    depth = int(rng.choice([50, 1000, DEEP]))
    text = content.decode("utf-8", "replace")
    tokens = list(TOKEN.finditer(text))
    begin, end = tokens[rng.integers(len(tokens))].span() if tokens else (0, 0)
    return (text[:begin] + opening * depth + closing * depth * int(rng.integers(2)) + text[end:]).encode()


def declare_entities(content, rng):
    """A document type whose entities grow, or are other files, one of them in the place of a token."""
    text = content.decode("utf-8", "replace")
    tokens = [token for token in TOKEN.finditer(text) if not token[0].startswith('"')]
    if tokens:
        begin, end = tokens[rng.integers(len(tokens))].span()
        text = text[:begin] + "&j;" + text[end:]
    start = text.find("?>") + 2 if text.startswith("<?xml") else 0
    return (text[:start] + (BOMB, EXTERNAL)[rng.integers(2)] + text[start:]).encode()


def declare_encoding(content, rng):
    encodings = ["utf-16", "utf-7", "none", "idna", "punycode", "rot13", "\0"]
    return f'<?xml version="1.0" encoding="{encodings[rng.integers(len(encodings))]}"?>'.encode() + content


# json ---------------------------------------------------------------------------------------------------------------
def _parsed(content):
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def change_json(content, rng):
    """A value anywhere in it becomes one of another type or size, a key goes, or two values change places."""
    tree = _parsed(content)
    places = list(_places(tree))
    if not places:
        return content
    holder, key = places[rng.integers(len(places))]
    action = rng.random()
    if action < 0.6:
        holder[key] = VALUES[rng.integers(len(VALUES))]
    elif action < 0.8:
        other, other_key = places[rng.integers(len(places))]
        holder[key], other[other_key] = _copy(other[other_key]), _copy(holder[key])
    else:
        del holder[key]
    return json.dumps(tree).encode()


def repeat_key(content, rng):
    """A key is there twice."""
    text = content.decode("utf-8", "replace")
    pairs = list(re.finditer(r'"\w+": *("[^"]*"|[-\d.]+)', text))
    if not pairs:
        return content
    first, second = pairs[rng.integers(len(pairs))], pairs[rng.integers(len(pairs))]
    key = first[0].split(":")[0]
    return (text[:first.end()] + f", {key}: {second[1]}" + text[first.end():]).encode()


def _places(node):
    """Yields: (list or dict, index or key) of all values below one"""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield node, key
        yield from _places(value)


def _copy(value):
    return json.loads(json.dumps(value))


MUTATIONS = [
    flip_bytes, cut, delete_part, repeat_part, move_part, repeat_line, nest, declare_entities, declare_encoding,
    repeat_key, *4 * [replace_token], *4 * [change_json]]
