"""Bad input of all kinds: ``python tests/fuzzing.py --inputs 10000``.

Command lines and config files of `pullback train`, random by a seed: wrong types, letters of all
scripts, huge numbers, nested junk, and what public advisories on Hydra, OmegaConf, PyYAML and
logging's configuration show. Each ends in success or one readable message. A hook of the
interpreter's sees every file that is written and everything that is started; a module lies in wait
to be called. The suite runs a few.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

MEMORY = 6 << 30  # of a process: a network of a billion units is to fail, not to fill the machine
SECONDS = 60
LONGEST = 3000  # letters of a message that anybody reads
STARTED = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "socket.connect")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

PAYLOAD = """\
import pathlib
pathlib.Path(%r).write_text("the module was imported")
class Call:
    def __init__(self, *args, **kwargs): pathlib.Path(%r).write_text("called")
call = Call
"""

SANE = """
seed=1 seed=1,2 dtype=float64 training.steps=3 net.z1.width=4 net.a1=relu net=linear loss=mse
optimizer=sgd optimizer.lr=0.1 dataset.n=40 dataset=iris +training.batch_size=8 schedule=cosine
split.test=0.1 net.a1={name:tanh} reference=null training.epochs=2 workers=1 experiment=founding
""".split()
KEYS = """
seed dtype reference threads standardise plugins workers retries fail_fast training split tracking
net loss optimizer schedule dataset experiment training.steps training.epochs training.batch_size
training.reduction training.l2 training.clip_norm training.evaluate_every training.patience
training.select training.checkpoint_every split.validation split.test tracking.name
tracking.pictures tracking.uri tracking.experiment net.z1 net.z1.width net.z1.name net.a1 net.z2
net.z2.width net.new loss.name loss.reduction optimizer.lr optimizer.momentum optimizer.betas
optimizer.name schedule.name dataset.n dataset.noise dataset.name dataset.path seeds optimiser.lr
net..a1 .net training. a b.c.d _target_ loss._target_ hydra.job.name hydra.output_subdir
hydra.sweep.subdir hydra.job_logging hydra.callbacks hydra.launcher hydra.searchpath
hydra.job.chdir hydra.job.env_set hydra.verbose hydra.mode hydra.help hydra hydra.sweeper.params
hydra/launcher hydra/sweeper hydra/job_logging hydra/output hydra.nothing
hydra.job_logging.handlers.file.filename hydra.job_logging.formatters.simple.() net@x loss@net
defaults
""".split()
WORDS = """
mse sgd adam tanh relu softmax affine cross_entropy_fused moons digits file founding none mlflow
null true False yes 0 1 -1 2 7 0.5 -0.0 1e-300 1e400 nan inf -inf 999999999999999999999 1_000 0x10
08 1e3 .5 1,2 tanh,relu range(0,3) range(3,0) range(0,1,0) choice(a,b) interval(0,1) glob(*)
sort(3,1) shuffle(1) tag(x,1) int(3) float(x) str(1) bool(2) json_str(1) [] {} [1,2] {a:1} [[[]]]
{a:{b:{c:1}}} [1 {a: '' "" 'unclosed "unclosed \\ \\\\ = == a=b ${seed} ${nothing} ${seed
${oc.env:HOME} ${oc.env:NOTHING} ${oc.decode:1} ${oc.create:{a:1}} ${now:%Y} ${hydra:job.name}
${.} ${..net} ${a:${b:${c}}} ??? * ? ~ ../../../etc/passwd /etc/shadow /dev/full /dev/null
file:///etc pkg://os . .. // x/../y $HOME %s {0} Ω ŷ é 日本語 עברית 🦆 a\u0301 \u202eabc
\u2028 \ufeff \x1b[31m !!python/object/apply:os.system ext://os.system cfg://x
""".split()
WORDS += [
    " ",
    "",
    "a b",
    "\n",
    "\t",
    "\r",
    "x" * 5000,
    "[" * 60,
    "{a:" * 60,
    "9" * 400,
    "-" + "9" * 30,
]
PLACES = """
hydra.output_subdir hydra.job.name hydra.sweep.subdir hydra.job_logging.handlers.file.filename
+hydra.hydra_logging.handlers.file.filename
""".split()
OUTSIDE = """
../outside ../../outside /outside /tmp/outside ./../outside a/../../outside
${hydra.run.dir}/../outside ${hydra.runtime.output_dir}/../../outside ${oc.env:HOME}/outside
${oc.env:OUTSIDE} //outside ~/outside
""".split()
TARGETS = """
os.system os.posix_spawn subprocess.check_output subprocess.Popen builtins.eval builtins.exec
builtins.__import__ importlib.import_module payload.call payload.Call payload pickle.loads
hydra.utils.instantiate hydra.utils.call hydra.utils.get_method hydra._internal.utils._locate
functools.partial operator.call pathlib.Path.write_text shutil.rmtree webbrowser.open
code.interact logging.config.listen logging.FileHandler logging.handlers.SocketHandler torch.load
numpy.load pullback.registry.load_plugin pullback.registry._import_file hydra.core.plugins.Plugins
""".split()
YAML = (
    "!!python/object/apply:os.system ['touch called']",
    "!!python/object/new:payload.Call []",
    "!!python/name:payload.call ''",
    "!!python/module:payload ''",
    "&a [*a]",
    "{a: &x [1, 1], b: [*x, *x, *x]}",
    "!!binary aGVsbG8=",
    "2001-01-01",
    "{<<: {a: 1}}",
    "? [complex, key]\n: value",
    "- a\n b: c",
    "\tx",
    "%YAML 9.9",
    "'",
    "@x",
)


class Draw:
    """One input after another, by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def words(self, folder: Path) -> list[str]:
        """A command line; the config files that it names are written into the folder."""
        chance = self.random.random
        found = [self.override() for _ in range(self.random.choice((0, 1, 1, 1, 1, 2, 2, 5)))]
        found += self.random.sample(SANE, self.random.randint(0, 3))
        self.random.shuffle(found)
        if chance() < 0.35:
            group = self.random.choice(
                ("experiment", "loss", "optimizer", "net", "dataset", "hydra")
            )
            where = folder / "configs" / group
            where.mkdir(parents=True)
            text = self.document()
            (where / "mine.yaml").write_bytes(text)
            found += ["--config-dir", "configs"]
            found += [self.random.choice((f"{group}=mine", f"+{group}=mine"))]
        if chance() < 0.12:
            found += ["-m"]
        if chance() < 0.03:
            found += [self.random.choice(("--config-name", "-cn")), self.word()]
        if chance() < 0.03:
            found += [
                self.random.choice(("--nothing", "-x", "--", "--cfg", "-h", "--info", "--debug "))
            ]
        return found

    def override(self) -> str:
        key = self.key()
        form = self.random.random()
        if form > 0.95:
            return f"{self.random.choice(PLACES)}={self.random.choice(OUTSIDE)}"
        if form < 0.06:
            return self.random.choice(
                (f"~{key}", f"~{key}={self.word()}", key, f"={key}", f"+{key}")
            )
        sign = self.random.choice(("", "", "", "", "+", "++", "~"))
        return f"{sign}{key}={self.value(3)}"

    def key(self) -> str:
        draw = self.random.random()
        if draw < 0.85:
            return self.random.choice(KEYS)
        if draw < 0.95:
            return f"{self.random.choice(KEYS)}.{self.word()}"
        return self.word()

    def word(self) -> str:
        return self.random.choice(WORDS)

    def value(self, depth: int) -> str:
        """In Hydra's grammar, more or less."""
        draw = self.random.random()
        if draw < 0.6 or depth == 0:
            return self.word()
        if draw < 0.7:
            return f"'{self.word()}'"
        if draw < 0.8:
            return self.call("{", ":", ",", "}")
        if draw < 0.9:
            several = (self.value(depth - 1) for _ in range(self.random.randint(0, 4)))
            return f"[{','.join(several)}]"
        pairs = (f"{self.word()}:{self.value(depth - 1)}" for _ in range(self.random.randint(0, 4)))
        return "{" + ",".join(pairs) + "}"

    def call(self, start: str, is_: str, comma: str, end: str) -> str:
        """Something that calls something, in some way that was found to work somewhere."""
        how = self.random.choice(
            ("_target_", "()", "class", "_partial_", "_args_", "_convert_", "cls")
        )
        target = self.random.choice(TARGETS)
        argument = self.random.choice(("command", "_args_", "args", "cmd", "path", "_recursive_"))
        return f"{start}{how}{is_} {target}{comma} {argument}{is_} 'touch called'{end}"

    def document(self) -> bytes:
        """A config file: a mapping of junk, a payload, YAML's own tricks, or no text at all."""
        draw = self.random.random()
        if draw < 0.05:
            return bytes(self.random.randrange(256) for _ in range(self.random.randint(0, 80)))
        if draw < 0.15:
            return self.random.choice(YAML).encode()
        head = self.random.choice(("", "", "# @package _global_\n", "# @package nowhere\n"))
        lines = []
        for _ in range(self.random.randint(0, 4)):
            key = self.random.choice((self.key(), "name", "lr", "width", "defaults", "hydra"))
            value = self.random.choice(
                (self.value(2), json.dumps(self.word()), self.random.choice(YAML), self.nested())
            )
            lines.append(f"{key}: {value}")
        return (head + "\n".join(lines)).encode("utf-8", "surrogatepass")

    def nested(self) -> str:
        where = self.random.choice(("callbacks", "launcher", "sweeper", "job_logging", "x"))
        return f"{{{where}: {self.call('{', ':', ',', '}')}}}"


class Watch:
    """Hears of every file that is written and everything that is started, while a case runs."""

    def __init__(self) -> None:
        self.inside: Path | None = None
        self.found: list[str] = []
        sys.addaudithook(self.hear)

    def hear(self, event: str, args: tuple[object, ...]) -> None:
        if self.inside is None:
            return
        inside, self.inside = self.inside, None  # what is done here is not heard of
        try:
            self.judge(event, args, inside)
        finally:
            self.inside = inside

    def judge(self, event: str, args: tuple[object, ...], inside: Path) -> None:
        if event in STARTED:
            self.found.append(f"{event} {args!r:.200}")
        elif event == "subprocess.Popen":
            ours = args[0] == "git" or "pullback.sweep.worker" in list(args[1])
            if not ours:
                self.found.append(f"{event} {args!r:.200}")
        elif event == "import" and str(args[0]).split(".")[0] in (
            "payload",
            "webbrowser",
            "antigravity",
        ):
            self.found.append(f"import {args[0]}")
        elif event == "open":
            path, _, flags = args
            writes = isinstance(flags, int) and flags & WRITING
            if writes and isinstance(path, str | bytes | os.PathLike):
                self.written(os.fsdecode(path), inside)
        elif event in (
            "os.mkdir",
            "os.remove",
            "os.rmdir",
            "os.rename",
            "os.symlink",
            "os.truncate",
        ):
            paths = args[:2] if event in ("os.rename", "os.symlink") else args[:1]
            for path in paths:
                self.written(os.fsdecode(path), inside)

    def written(self, path: str, inside: Path) -> None:
        whole = Path(os.path.realpath(path))
        if not whole.is_relative_to(inside) and str(whole) != "/dev/null":
            self.found.append(f"wrote {whole}")
            raise PermissionError(f"outside: {whole}")  # and it is not written


def one(words: list[str], folder: Path, watch: Watch) -> tuple[str, str]:
    """How a command line ended (success, message, or what is wrong with it), and what it said."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    from pullback import cli, registry

    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
    registered = dict(registry._registered)
    out, err = io.StringIO(), io.StringIO()
    watch.found.clear()
    signal.alarm(SECONDS)
    watch.inside = folder
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = cli.main(["train", *words])
            except SystemExit as end:
                status = int(end.code or 0) if not isinstance(end.code, str) else 2
    except BaseException:
        watch.inside = None
        return "an exception", traceback.format_exc()[-1500:]
    finally:
        watch.inside = None
        signal.alarm(0)
        registry._registered.clear()
        registry._registered.update(registered)
    said = err.getvalue()
    return judged(status, out.getvalue(), said, watch, folder), said


def judged(status: int, shown: str, said: str, watch: Watch, folder: Path) -> str:
    if watch.found:
        return f"not to be done: {'; '.join(watch.found)[:600]}"
    if (folder / "called").exists() or (folder.parent / "canary").exists():
        return "the payload was called"
    if "Traceback" in said:
        return "a traceback"
    if status not in (0, 1, 2):
        return f"exit status {status}"
    if status and not (said + shown).strip():
        return "no message"
    if len(said) > LONGEST:
        return f"a message of {len(said)} letters"
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]", said + shown):
        return "a message that moves the cursor"
    return "message" if status else "success"


def campaign(inputs: int, seed: int) -> collections.Counter[str]:
    """That many inputs in this process; prints every one that is not as it should be."""
    root = Path(tempfile.mkdtemp(prefix="pullback-fuzzing-"))
    (root / "payload.py").write_text(PAYLOAD % (str(root / "canary"), str(root / "canary")))
    sys.path.insert(0, str(root))
    os.environ["OUTSIDE"] = "../../outside"
    os.environ["XDG_CACHE_HOME"] = os.environ["MPLCONFIGDIR"] = str(root)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    watch, counts = Watch(), collections.Counter[str]()
    os.chdir(root)
    one(["training.steps=2", "tracking=none", "hydra.run.dir=first"], root, watch)  # caches
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError("too long")))
    for number in range(inputs):
        draw = Draw(seed * 1_000_003 + number)
        folder = root / "case"
        folder.mkdir()
        os.chdir(folder)
        words = draw.words(folder)
        few = ["training.steps=2", "tracking=none"] if draw.random.random() < 0.3 else ["--dry-run"]
        found, said = one([*few, *words], folder, watch)
        counts[found if found in ("success", "message") else "wrong"] += 1
        if found not in ("success", "message"):
            print(f"seed {seed}, input {number}: {found}\n  {[*few, *words]!r}\n  {said[-700:]!r}")
            for file in folder.glob("configs/*/*"):
                print(f"  {file.name}: {file.read_bytes()!r}")
            (root / "canary").unlink(missing_ok=True)
        os.chdir(root)
        shutil.rmtree(folder)
    shutil.rmtree(root)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if args.processes == 1:
        counts = campaign(args.inputs, args.seed)
        print(json.dumps(counts))
        return int(counts["wrong"] > 0)
    share = -(-args.inputs // args.processes)
    started = time.monotonic()
    command = [sys.executable, __file__, "--processes", "1", "--inputs", str(share)]
    running = [
        subprocess.Popen([*command, "--seed", str(args.seed + i)]) for i in range(args.processes)
    ]
    status = max([one.wait() for one in running])
    print(f"{share * args.processes} inputs in {time.monotonic() - started:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
