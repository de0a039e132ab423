#!/usr/bin/env python3
"""The baseline that a learned tagger has to beat: a linear-chain CRF with ordinary features, trained on each set's own rows.

    make crf [DATA=FOLDER]        # or: python eval/peers/crf.py [--data FOLDER] [--set own ...] [--json]

A predicted span counts if its start, its end and its type are those of a gold span (offsets in Unicode code points). Gold that the units below
cannot express (a span that starts inside a run of letters, or overlaps a longer one) stays in the denominator: it is missed, not forgiven.
c1 and c2 are chosen on dev, or on a fifth of train where a set has none; test is tagged once, after that. No lexicon, no embeddings.
"""

import argparse
import collections
import functools
import json
import pathlib
import random
import re
import sys
import time
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS = ["PRODUCT", "BRAND", "MODEL", "COLOR", "SIZE", "FLAVOR", "MATERIAL", "SPEC"]

# Types outside the list are not gold: ecommerce_zh has a MISC and oa_mine_en an OTHER that no type of ours stands for.
Source = collections.namedtuple("Source", "about folder dev types")
SETS = {
    "own": Source("our messages and titles, zh and en", None, "valid", OURS),
    "dsner_ec_zh": Source("shop chat, zh", "ner/dsner_ec_zh", "dev", ["PRODUCT", "BRAND", "MODEL", "MATERIAL", "SPEC"]),
    "ecommerce_zh": Source("product titles, zh", "ner/ecommerce_zh", "dev", ["PRODUCT", "BRAND", "MODEL"]),
    "oa_mine_en": Source("product titles, en", "ner/oa_mine_en", None, OURS),
}

# L1 (c1) thins the n-grams out, L2 (c2) shrinks what remains. On dev, dsner_ec_zh and oa_mine_en do without L1, the others want some.
GRID = [(0, 0.1), (0, 0.3), (0.02, 0.01), (0.02, 0.1), (0.1, 0.03)]
# 150 and 300 L-BFGS iterations gave the same F1 on dev within noise.
ITERATIONS = 100

LATIN = "A-Za-zＡ-Ｚａ-ｚ\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
# Chinese characters and other signs one by one, letters and digits in runs; whitespace only parts them.
UNIT = re.compile(rf"[{LATIN}]+|[0-9０-９]+|\S")
HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def rows_of(path, types):
    """Rows of a JSONL file as (text, language, gold), gold being a set of (start, end, type)."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as fault:
        hint = "it is part of the repository" if ROOT in path.parents else "--data must name the folder in which ner/ lies; --set own needs none"
        sys.exit(f"crf: cannot read {path} ({getattr(fault, 'strerror', fault)}); {hint}")
    rows = []
    for n, line in ((n, line) for n, line in enumerate(lines, 1) if line.strip()):
        try:
            row = json.loads(line)
            text, lang = row["text"], row["lang"]
            gold = {(e["start"], e["end"], e["type"]) for e in row["entities"] if e["type"] in types}
            if any(not 0 <= start < end <= len(text) for start, end, _ in gold):
                raise ValueError("an entity lies outside the text")
        except (KeyError, TypeError, ValueError) as fault:
            sys.exit(f"crf: {path}:{n} is not a row with text, lang and entities[{{start, end, type}}]: {fault!r}")
        rows.append((text, lang, gold))
    if not rows:
        sys.exit(f"crf: {path} has no rows")
    return rows


def load(name, data, seed):
    """Train, dev and test rows of a set, and whether dev is a part of train."""
    source = SETS[name]
    folder = data / source.folder if source.folder else ROOT / "datasets/ner"
    train, test = (rows_of(folder / f"{part}.jsonl", source.types) for part in ("train", "test"))
    if source.dev:
        return train, rows_of(folder / f"{source.dev}.jsonl", source.types), test, False
    random.Random(seed).shuffle(train)
    return train[len(train) // 5 :], train[: len(train) // 5], test, True


def encode(units, gold):
    """BIOES tags. A span that does not begin and end with a unit, or overlaps a longer one, cannot be told and is left out of training."""
    starts = {start: i for i, (start, _) in enumerate(units)}
    ends = {end: i for i, (_, end) in enumerate(units)}
    tags = ["O"] * len(units)
    for start, end, kind in sorted(gold, key=lambda g: (g[0] - g[1], g)):
        first, last = starts.get(start), ends.get(end)
        if first is None or last is None or any(tag != "O" for tag in tags[first : last + 1]):
            continue
        inner = ["I-" + kind] * (last - first - 1)
        tags[first : last + 1] = ["S-" + kind] if first == last else ["B-" + kind, *inner, "E-" + kind]
    return tags


def decode(units, tags):
    """The spans of a tag sequence; one that breaks the scheme is read as conlleval would, a span of one type as far as it goes."""
    spans, first, kind = set(), None, None
    for i, tag in enumerate([*tags, "O"]):
        place, _, here = tag.partition("-")
        if first is not None and (place in "OBS" or here != kind or tags[i - 1][0] in "ES"):
            spans.add((units[first][0], units[i - 1][1], kind))
            first = None
        if first is None and place != "O":
            first, kind = i, here
    return spans


@functools.lru_cache(maxsize=None)
def spelling(unit):
    """What a unit tells by itself: (normal form, shape, features of its spelling)."""
    plain = unicodedata.normalize("NFKC", unit)
    word = plain.lower()
    if HAN.match(word):
        return word, "han", ["han"]
    if word[0].isdigit():
        # The length of a number parts years, sizes and long identifiers; beyond six digits it says nothing more.
        return word, "9" * min(len(word), 6), ["digit"]
    if not word[0].isalpha():
        return word, "sign", ["sign"]
    shape = re.sub(r"(.)\1+", r"\1+", "".join("A" if c.isupper() else "a" for c in plain))
    more = ["latin", f"len={min(len(word), 8)}", "upper" if plain.isupper() else "title" if plain[0].isupper() else "lower"]
    more += [f"pre={word[:n]}" for n in range(1, 5) if len(word) > n]
    more += [f"suf={word[-n:]}" for n in range(1, 5) if len(word) > n]
    return word, shape, more


def features(text, units):
    """A list of feature names for each unit: the window of two on each side, its n-grams, and the spelling of the unit and its neighbours."""
    edge = ("<>", "<>", [])
    told = [edge, edge, *(spelling(text[start:end]) for start, end in units), edge, edge]
    words, shapes, more = zip(*told)
    # A latin word in a Chinese text is a brand or a model more often than in an English one.
    script = "zh" if HAN.search(text) else "latin"
    out = []
    for i in range(2, len(units) + 2):
        feats = ["bias", f"script={script}", *more[i], f"w0/{script}={words[i]}"]
        feats += [f"w{d:+}={words[i + d]}" for d in range(-2, 3)]
        feats += [f"s{d:+}={shapes[i + d]}" for d in range(-2, 3)]
        # Of Chinese characters these are character n-grams, of words word n-grams. Trigrams as well cost 0.3 to 0.9 points of F1 on dev, in each set.
        feats += [f"2g{d:+}={words[i + d]}|{words[i + d + 1]}" for d in range(-2, 2)]
        feats += [*(f"2s{d:+}={shapes[i + d]}|{shapes[i + d + 1]}" for d in (-1, 0)), f"3s={shapes[i - 1]}|{shapes[i]}|{shapes[i + 1]}"]
        feats += [f"{d:+}{f}" for d in (-1, 1) for f in more[i + d] if f.startswith("suf=") and len(f) > 5]
        # Whitespace is no unit, so that it never lies in the way of the window; that it stood there still parts "5 pro" from "5pro".
        here, before = units[i - 2], units[i - 3][1] if i > 2 else 0
        feats += ["space before"] * (here[0] > before)
        feats += ["space after"] * (text[here[1] : here[1] + 1].isspace())
        out.append(feats)
    return out


def ratios(hit, predicted, gold):
    """Micro precision, recall and F1 from counts; with nothing to find and nothing found there is no figure, and zero would be a lie."""
    p, r = (hit / n if n else None for n in (predicted, gold))
    f1 = 2 * hit / (predicted + gold) if predicted + gold else None
    return {"gold": gold, "predicted": predicted, "precision": p, "recall": r, "f1": f1}


def figures(rows, found):
    """Figures of all spans, of each language where there are several, and of each type."""
    counts = collections.defaultdict(lambda: [0, 0, 0])
    for (_, lang, gold), spans in zip(rows, found):
        for column, some in enumerate((gold & spans, spans, gold)):
            for span in some:
                for key in (("all", ""), ("languages", lang), ("types", span[2])):
                    counts[key][column] += 1
    languages = sorted({lang for _, lang, _ in rows})
    return {"rows": len(rows), "all": ratios(*counts["all", ""]),
            "languages": {lang: ratios(*counts["languages", lang]) for lang in languages if len(languages) > 1},
            "types": {kind: ratios(*counts["types", kind]) for kind in OURS if ("types", kind) in counts}}


def fit(x, y, c1, c2):
    from sklearn_crfsuite import CRF

    # Transitions never seen get a weight as well: the model learns that I does not follow O instead of not knowing.
    return CRF(algorithm="lbfgs", c1=c1, c2=c2, max_iterations=ITERATIONS, all_possible_transitions=True).fit(x, y)


def prepare(rows):
    units = [[m.span() for m in UNIT.finditer(text)] for text, _, _ in rows]
    x = [features(text, u) for (text, _, _), u in zip(rows, units)]
    return units, x, [encode(u, gold) for (_, _, gold), u in zip(rows, units)]


def tagged(model, units, x):
    return [decode(u, tags) for u, tags in zip(units, model.predict(x))]


def measure(name, train, dev, test, dev_is_train):
    began = time.monotonic()
    _, x, y = prepare(train)
    dev_units, dev_x, dev_y = prepare(dev)
    best = None
    for c1, c2 in GRID:
        model = fit(x, y, c1, c2)
        told = figures(dev, tagged(model, dev_units, dev_x))
        f1 = told["all"]["f1"] or 0
        # Progress goes to stderr, so that --json can be piped.
        print(f"{name}: c1 {c1}, c2 {c2}: F1 {100 * f1:.1f} on dev ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
        if best is None or f1 > best[0]:
            best = (f1, model, told, c1, c2)
    _, model, told, c1, c2 = best
    if dev_is_train:
        # The fifth was lent by train to choose on; the model that is measured has it back.
        model = fit(x + dev_x, y + dev_y, c1, c2)
    units, test_x, test_y = prepare(test)
    lost = sum(len(gold - decode(u, tags)) for (_, _, gold), u, tags in zip(test, units, test_y))
    return {"set": name, "c1": c1, "c2": c2, "train_rows": len(train) + len(dev) * dev_is_train, "dev_is_a_fifth_of_train": dev_is_train,
            "test_gold_not_expressible": lost, "dev": told, "test": figures(test, tagged(model, units, test_x)),
            "seconds": round(time.monotonic() - began, 1)}


def show(result):
    fifth = "; dev is a fifth of train, given back for test" * result["dev_is_a_fifth_of_train"]
    print(f"\n{result['set']}: {SETS[result['set']].about}; {result['train_rows']} rows to train on; c1 {result['c1']}, c2 {result['c2']}{fifth}; "
          f"{result['test_gold_not_expressible']} spans of test not expressible; {result['seconds']:.0f} s")
    percent = lambda v: "    –" if v is None else f"{100 * v:5.1f}"
    for part in ("dev", "test"):
        told = result[part]
        print(f"  {part + ', ' + str(told['rows']) + ' rows':18}  spans      P      R     F1")
        for label, r in {"all": told["all"], **told["languages"], **told["types"]}.items():
            print(f"    {label:16}  {r['gold']:5}  {percent(r['precision'])}  {percent(r['recall'])}  {percent(r['f1'])}")


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--data", type=pathlib.Path, metavar="FOLDER", help="where the public sets lie, as FOLDER/ner/SET/train.jsonl and so on")
    cli.add_argument("--set", nargs="+", choices=SETS, metavar="SET", dest="sets", help=f"some of {', '.join(SETS)} (default: own; with --data all)")
    cli.add_argument("--json", action="store_true", help="one JSON object on stdout instead of tables")
    cli.add_argument("--seed", type=int, default=1, help="which fifth of train is dev where a set has none (default 1); nothing else is random")
    args = cli.parse_args()

    sets = list(dict.fromkeys(args.sets or (SETS if args.data else ["own"])))
    outside = [name for name in sets if SETS[name].folder]
    if outside and not args.data:
        cli.error(f"{', '.join(outside)}: say with --data in which folder the public sets lie")
    try:
        import sklearn_crfsuite  # noqa: F401  (asked before the rows are read, with a better hint than a traceback)
    except ImportError as fault:
        sys.exit(f"crf: {fault}; `make crf` installs what is needed, or: pip install -r eval/peers/requirements.txt")
    loaded = {name: load(name, args.data, args.seed) for name in sets}  # all of them first: a missing file is told before anything is trained
    results = []
    for name in sets:
        results.append(measure(name, *loaded[name]))
        if not args.json:
            show(results[-1])
    if args.json:
        print(json.dumps({"seed": args.seed, "sets": results}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
