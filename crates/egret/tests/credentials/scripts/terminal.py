"""Types a password on a real terminal, and looks at what the terminal shows."""
import os
import pty
import sys
import termios
import time

program, file = sys.argv[1:]


def typed(*answers):
    child, terminal = pty.fork()
    if child == 0:
        os.execv(program, [program, "users", "add", file, "alice"])
    shown = b""
    for prompt, answer in answers:
        while prompt not in shown:
            shown += os.read(terminal, 1024)
        # The prompt comes a moment before the echo is switched off; nobody types so fast.
        for _ in range(1000):
            if not termios.tcgetattr(terminal)[3] & termios.ECHO:
                break
            time.sleep(0.01)
        os.write(terminal, answer + b"\n")
    while True:
        try:
            piece = os.read(terminal, 1024)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown


code, shown = typed((b"Password for alice: ", b"one thing"), (b"Again: ", b"another"))
assert code == 1 and b"the two passwords differ" in shown, shown
assert not os.path.exists(file)
code, shown = typed((b"Password for alice: ", b"s3cret word"), (b"Again: ", b"s3cret word"))
assert code == 0 and b"was added" in shown, shown
assert b"s3cret" not in shown, shown
print("good")
