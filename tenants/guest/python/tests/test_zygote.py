"""The zygote and the first moments of its children, as the supervisor sees them, and as an attacker would like them."""

import os
import secrets
import signal
import subprocess
import textwrap
import time
import unittest

from harness import Supervisor

dag = textwrap.dedent(
    """
    import os, random, signal, subprocess, sys, time, uuid
    from airflow.sdk import DAG, task

    with DAG("d", schedule=None):

        @task
        def false():
            return [subprocess.run(["false"]).returncode, subprocess.run(["true"]).returncode]

        @task
        def dice():
            return [random.random(), uuid.uuid4().hex, os.getpid()]

        @task
        def world():
            return {
                "fds": sorted(os.readlink(f"/proc/self/fd/{n}").split(":")[0] for n in os.listdir("/proc/self/fd")
                              if os.path.lexists(f"/proc/self/fd/{n}")),
                "stdin": sys.stdin.read(), "cwd": os.getcwd(), "env": sorted(os.environ), "sid": os.getsid(0) == os.getpid(),
                "chld": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
                "mask": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
            }

        @task
        def daemon():
            code = "import time; open('daemon.pid', 'w').write('x'); time.sleep(600)"
            subprocess.Popen([sys.executable, "-c", code], start_new_session=True, env={})
            child = subprocess.Popen(
                [sys.executable, "-c", f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {code!r}], "
                 "start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"], stdout=subprocess.PIPE, text=True)
            return int(child.communicate()[0])

        @task
        def wait():
            pid = subprocess.run([sys.executable, "-c", "import subprocess; "
                "print(subprocess.Popen(['sleep', '600'], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"],
                capture_output=True, text=True).stdout
            print("daemon", pid, flush=True)
            while not os.path.exists("../go"):
                time.sleep(0.01)

        @task
        def dies():
            os.kill(os.getpid(), signal.SIGKILL)

        @task
        def exits():
            os._exit(7)

        @task
        def out():
            print("to stdout")
            print("to stderr", file=sys.stderr)
            subprocess.run(["echo", "from a subprocess"])
            os.write(1, b"\\xff raw\\n")

        false(); dice(); world(); daemon(); wait(); dies(); exits(); out()
    """
)


class Zygote(unittest.TestCase):
    def setUp(self):
        self.supervisor = Supervisor({"dags/d.py": dag})
        self.addCleanup(self.supervisor.close)

    def run_task(self, name):
        attempt = self.supervisor.run("dags/d.py", "d", name)
        return attempt, self.supervisor.xcoms.get(("d", "r1", name, "return_value", -1))

    def test_it_says_that_it_is_ready_and_what_it_is(self):
        ready = self.supervisor.ready
        self.assertEqual((ready["preloaded"], ready["skipped"]), ([], []))
        self.assertEqual(ready["pid"], self.supervisor.guest.pid)
        self.assertEqual(ready["versions"]["jinja2"], "3.1.6")

    def test_a_failed_subprocess_looks_failed(self):
        self.assertEqual(self.run_task("false")[1], [1, 0])

    def test_children_do_not_share_their_luck(self):
        rolls = [self.run_task("dice")[1] for _ in range(5)]
        for column in range(3):
            self.assertEqual(len({str(roll[column]) for roll in rolls}), 5)

    def test_a_child_has_only_what_is_its_own(self):
        attempt, seen = self.run_task("world")
        # Standard input, output, error output, comms.
        self.assertEqual(seen["fds"], ["/dev/null", "socket", "socket", "socket"])
        self.assertEqual((seen["stdin"], seen["chld"], seen["mask"], seen["sid"]), ("", True, 0, True))
        self.assertEqual(seen["cwd"], os.path.join(self.supervisor.work, attempt.nonce))
        allowed = {"PATH", "AIRLOCK_ATTEMPT", "AIRFLOW_HOME", "AIRFLOW__CORE__DAGS_FOLDER"}
        self.assertEqual({name for name in seen["env"] if not name.startswith("AIRFLOW_CTX_")}, allowed)

    def test_output_of_the_task_and_its_subprocesses_arrives(self):
        attempt, _ = self.run_task("out")
        self.assertEqual(attempt.out["stdout"], b"to stdout\nfrom a subprocess\n\xff raw\n")
        self.assertEqual(attempt.out["stderr"], b"to stderr\n")

    def test_exits_are_reported_with_code_signal_and_usage(self):
        killed = self.run_task("dies")[0].exited
        self.assertEqual((killed["exit_code"], killed["signal"]), (None, signal.SIGKILL))
        left = self.run_task("exits")[0].exited
        self.assertEqual((left["exit_code"], left["signal"]), (7, None))
        self.assertGreater(left["cpu_s"], 0)
        self.assertGreater(left["max_rss_bytes"], 5_000_000)

    def test_what_an_attempt_leaves_behind_is_ended_with_it(self):
        _, left = self.run_task("daemon")
        wait_until(lambda: not alive(left), "the grandchild of an ended attempt")

    def test_a_daemon_of_a_live_attempt_is_spared_when_another_one_ends(self):
        waiting = self.supervisor.start("dags/d.py", "d", "wait")
        wait_until(lambda: b"daemon" in waiting.out["stdout"], "the daemon")
        daemon = int(waiting.out["stdout"].split()[1])
        self.run_task("false")
        self.assertTrue(alive(daemon))
        open(os.path.join(self.supervisor.work, "go"), "w").close()
        waiting.wait()
        wait_until(lambda: not alive(daemon), "the daemon of the ended attempt")

    def test_a_killed_spare_costs_nothing_but_a_fork(self):
        wait_until(lambda: len(children_of(self.supervisor.guest.pid)) == 2, "both spares")
        for pid in children_of(self.supervisor.guest.pid):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not children_of(self.supervisor.guest.pid), "the spares to be reaped")
        self.assertEqual(self.run_task("false")[1], [1, 0])

    def test_stop_waits_for_the_last_child_and_ends(self):
        waiting = self.supervisor.start("dags/d.py", "d", "wait")
        wait_until(lambda: b"daemon" in waiting.out["stdout"], "the task")
        self.supervisor.tell({"type": "stop"})
        self.assertIsNone(self.supervisor.guest.poll())
        open(os.path.join(self.supervisor.work, "go"), "w").close()
        waiting.wait()
        self.assertEqual(self.supervisor.guest.wait(10), 0)

    def test_the_end_of_the_supervisor_is_the_end_of_everything(self):
        waiting = self.supervisor.start("dags/d.py", "d", "wait")
        wait_until(lambda: b"daemon" in waiting.out["stdout"], "the task")
        daemon = int(waiting.out["stdout"].split()[1])
        self.supervisor.guest.stdin.close()
        self.assertEqual(self.supervisor.guest.wait(10), 0)
        wait_until(lambda: not alive(daemon) and not alive(waiting.pid), "all processes")

    def test_a_nonce_is_taken_once(self):
        attempt, _ = self.run_task("false")
        self.supervisor.tell({"type": "fork", "nonce": attempt.nonce, "env": {}, "cwd": "/"})
        self.assertNotEqual(self.supervisor.guest.wait(10), 0)

    def test_frames_that_are_none_end_the_guest(self):
        for bad in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1", b"\x00\x00\x00\x01\x05"):
            with self.subTest(bad), Supervisor({"dags/d.py": dag}) as supervisor:
                supervisor.guest.stdin.write(bad)
                self.assertNotEqual(supervisor.guest.wait(10), 0)
        for frame in ({"type": "dance"}, {"type": "fork", "nonce": "../x", "env": {}, "cwd": "/"}):
            with self.subTest(frame), Supervisor({"dags/d.py": dag}) as supervisor:
                supervisor.tell(frame)
                self.assertNotEqual(supervisor.guest.wait(10), 0)

    def test_frames_that_come_in_pieces_are_read_whole(self):
        nonce = secrets.token_hex(16)
        from harness import Attempt
        import msgpack
        import struct

        attempt = self.supervisor.attempts[nonce] = Attempt(nonce, {"type": "StartupDetails"})
        body = msgpack.packb({"type": "fork", "nonce": nonce, "env": {}, "cwd": self.supervisor.work})
        for byte in struct.pack(">I", len(body)) + body:
            self.supervisor.guest.stdin.write(bytes([byte]))
        self.supervisor.wait_for(lambda f: f["type"] == "forked" and f["nonce"] == nonce)
        attempt.wait()

    def test_a_first_frame_that_is_no_order_ends_the_child_and_nobody_else(self):
        for first in ({"type": "OKResponse"}, {}, {"type": "StartupDetails"}, {"type": "StartupDetails", "airlock": {}}):
            with self.subTest(first):
                attempt = self.supervisor.fork(first).wait()
                self.assertEqual((attempt.exited["exit_code"], attempt.of("SucceedTask")), (1, []))
        self.assertEqual(self.run_task("false")[1], [1, 0])

    def test_many_at_once(self):
        attempts = [self.supervisor.start("dags/d.py", "d", "false") for _ in range(12)]
        for attempt in attempts:
            self.assertEqual(attempt.wait().terminal["type"], "SucceedTask")


class Preload(unittest.TestCase):
    def test_clean_packages_are_preloaded_and_those_with_threads_left_to_the_children(self):
        import sysconfig

        place = sysconfig.get_path("purelib")
        packages = {
            "guest_test_clean": "x = 1\n",
            "guest_test_thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n",
            "guest_test_descriptor": "file = open('/dev/null')\n",
            "guest_test_crash": "import os\nos.abort()\n",
        }
        for name, text in packages.items():
            path = os.path.join(place, f"{name}.py")
            with open(path, "w") as file:
                file.write(text)
            self.addCleanup(os.unlink, path)
        files = {"dags/d.py": dag, "dags/uses.py": "import guest_test_thread\nimport guest_test_clean\n"}
        for bad in ("guest_test_thread", "guest_test_descriptor", "guest_test_crash", "guest_test_absent"):
            with self.subTest(bad), Supervisor(files, packages=["guest_test_clean", bad]) as supervisor:
                self.assertEqual(supervisor.ready["preloaded"], ["guest_test_clean"])
                self.assertEqual(supervisor.ready["skipped"], [bad])
                self.assertEqual(len(os.listdir(f"/proc/{supervisor.guest.pid}/task")), 1)
                self.assertEqual(supervisor.run("dags/d.py", "d", "false").terminal["type"], "SucceedTask")
        with Supervisor(files) as supervisor:
            self.assertEqual(supervisor.parse("dags/uses.py")["packages"], ["guest_test_clean", "guest_test_thread"])


def wait_until(fact, what):
    limit = time.monotonic() + 15
    while not fact():
        assert time.monotonic() < limit, f"waited in vain for {what}"
        time.sleep(0.005)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid):
    said = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in said.split()]


if __name__ == "__main__":
    unittest.main()
