#!/usr/bin/env python3
"""The embedded index beside hnswlib and bm25s, on the same invented tickets in one run.

    python benches/scale.py --fenzhen PATH [--tickets 200000] [--no-peers]

`fenzhen index bench` makes the tickets, measures itself and writes vectors and terms out; the peers are built over the same ones, hnswlib
with the same M and ef, bm25s with the same k1 and b. Prints a table in Markdown; figures that are quoted stand in benches/RESULTS.md.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import tempfile
import time

import numpy as np


def resident_mb():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1e3
    return float("nan")


def quantiles(times):
    times = sorted(t * 1e3 for t in times)
    return [times[int((len(times) - 1) * q)] for q in (0.5, 0.99)]


def hnsw(vectors, queries):
    import hnswlib

    before = resident_mb()
    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=32, ef_construction=200)
    begin = time.perf_counter()
    index.add_items(vectors, num_threads=os.cpu_count())
    build = time.perf_counter() - begin
    index.set_ef(128)
    exact = np.empty((len(queries), 10), dtype=np.int64)
    scores = np.full((len(queries), 10), -np.inf, dtype=np.float32)
    for first in range(0, len(vectors), 100_000):
        part = queries @ vectors[first : first + 100_000].T
        both = np.concatenate([scores, part], axis=1)
        ids = np.concatenate([exact, np.arange(first, first + part.shape[1])[None].repeat(len(queries), 0)], axis=1)
        best = np.argsort(-both, axis=1)[:, :10]
        scores, exact = np.take_along_axis(both, best, 1), np.take_along_axis(ids, best, 1)
    times, right = [], 0
    for query, wanted in zip(queries, exact):
        begin = time.perf_counter()
        found, _ = index.knn_query(query, k=10, num_threads=1)
        times.append(time.perf_counter() - begin)
        right += len(set(found[0].tolist()) & set(wanted.tolist()))
    return {"build_s": build, "resident_mb": resident_mb() - before, "recall": right / (10 * len(queries)), "ms": quantiles(times)}


def bm25(folder, tickets):
    import bm25s

    lines = [line.split() for line in (folder / "terms.txt").read_text().splitlines()]
    corpus, queries = lines[:tickets], lines[tickets:]
    before, begin = resident_mb(), time.perf_counter()
    # Lucene's inverse document frequency, as ours.
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index(corpus, show_progress=False)
    build = time.perf_counter() - begin
    ours = [line.split() for line in (folder / "words.txt").read_text().splitlines()]
    times, shared = [], 0
    for query, found in zip(queries, ours):
        begin = time.perf_counter()
        places, _ = index.retrieve([query], k=10, show_progress=False)
        times.append(time.perf_counter() - begin)
        shared += len({f"B-{place}" for place in places[0].tolist()} & set(found))
    return {"build_s": build, "resident_mb": resident_mb() - before, "shared": shared / sum(map(len, ours)), "ms": quantiles(times)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fenzhen", required=True)
    parser.add_argument("--tickets", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [arguments.fenzhen, "index", "bench", "--json", "--tickets", str(arguments.tickets), "--queries", str(arguments.queries)]
        exported = pathlib.Path(folder)
        if not arguments.no_peers:
            command += ["--export", folder]
        ours = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        peer = words = None
        if not arguments.no_peers:
            every = np.fromfile(exported / "vectors.f32", dtype=np.float32).reshape(arguments.tickets + arguments.queries, -1)
            peer = hnsw(every[: arguments.tickets], every[arguments.tickets :])
            del every
            words = bm25(exported, arguments.tickets)
    cell = lambda value, form="{:.2f}": form.format(value) if value is not None else ""
    rows = [
        ("written a second, durable and found", cell(ours["ingest_per_s"], "{:.0f}"), "", ""),
        ("graphs built, s", cell(ours["build_s"], "{:.0f}"), peer and cell(peer["build_s"], "{:.0f}"), peer and peer["build_s"] / ours["build_s"]),
        ("own memory, MB", cell(ours["resident_mb"], "{:.0f}"), peer and cell(peer["resident_mb"], "{:.0f}"), peer and peer["resident_mb"] / ours["resident_mb"]),
        ("the same at most while graphs are built, MB", cell(ours["building_mb"], "{:.0f}"), "", ""),
        ("on disk, MB", cell(ours["disk_mb"], "{:.0f}"), "", ""),
        ("recall at 10 against exact", cell(ours["recall_at_10"], "{:.4f}"), peer and cell(peer["recall"], "{:.4f}"), ""),
        ("by meaning, p50 ms", cell(ours["dense_ms"][0]), peer and cell(peer["ms"][0]), peer and peer["ms"][0] / ours["dense_ms"][0]),
        ("by meaning, p99 ms", cell(ours["dense_ms"][1]), peer and cell(peer["ms"][1]), peer and peer["ms"][1] / ours["dense_ms"][1]),
        ("by words, p50 ms", cell(ours["lexical_ms"][0]), words and cell(words["ms"][0]), words and words["ms"][0] / ours["lexical_ms"][0]),
        ("by words, p99 ms", cell(ours["lexical_ms"][1]), words and cell(words["ms"][1]), words and words["ms"][1] / ours["lexical_ms"][1]),
        ("by words: in the peer's first ten", words and cell(words["shared"], "{:.4f}"), "", ""),
        ("by words: peer's build s, own memory MB", "", words and "{:.0f} / {:.0f}".format(words["build_s"], words["resident_mb"]), ""),
        ("both, p50 / p99 ms", "{:.2f} / {:.2f}".format(*ours["hybrid_ms"][:2]), "", ""),
        ("both while writing, p50 / p99 ms", "{:.2f} / {:.2f}".format(*ours["while_writing_ms"][:2]), "", ""),
        ("written a second meanwhile", cell(ours["while_writing_per_s"], "{:.0f}"), "", ""),
    ]
    print(f"{arguments.tickets} tickets, {arguments.queries} searches, {os.cpu_count()} cores, {platform.machine()}\n")
    print("| what | fenzhen | hnswlib; by words bm25s | peer / ours |\n|---|---:|---:|---:|")
    for what, mine, theirs, ratio in rows:
        print(f"| {what} | {mine} | {theirs or ''} | {f'{ratio:.2f}' if ratio else ''} |")


if __name__ == "__main__":
    main()
