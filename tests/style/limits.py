"""The sizes that CONTRIBUTING.md names, over src, tests and cl (limits.sh runs this). Prints what is beyond them."""
import json
import pathlib
import re
import subprocess
import sys
import unicodedata

FILE_LINES, FUNCTION_LINES, COLUMNS = 500, 60, 110
PARAMETERS, WIDE_SHARE = 5, 0.04


def sources():
    return sorted(path for room in ("src", "tests", "cl") for path in pathlib.Path(room).rglob("*")
                  if path.suffix in (".c", ".h", ".cl"))


def columns(line):
    return sum(not unicodedata.combining(character) for character in line)


def functions(paths):
    """Every function definition: (path, line, name, lines from its name to its closing brace, parameters)."""
    command = ["ctags", "--output-format=json", "--fields=+neS", "--kinds-C=f", "--langmap=C:+.cl", "--languages=C", "-o", "-",
               "-L", "-"]
    output = subprocess.run(command, input="\n".join(map(str, paths)), capture_output=True, text=True, check=True).stdout
    for line in output.splitlines():
        tag = json.loads(line)
        # commas inside parentheses (a function pointer's) part nothing
        signature = tag.get("signature", "()")[1:-1]
        while (inner := re.sub(r"\([^()]*\)", "", signature)) != signature:
            signature = inner
        count = 0 if signature.strip() in ("", "void") else signature.count(",") + 1
        yield tag["path"], tag["line"], tag["name"], tag["end"] - tag["line"] + 1, count


def main():
    faults, paths = [], sources()
    for path in paths:
        lines = path.read_text(encoding="utf8").splitlines()
        if len(lines) > FILE_LINES:
            faults.append(f"{path}: {len(lines)} lines; at most {FILE_LINES}")
        faults += [f"{path}:{i}: {columns(line)} columns; at most {COLUMNS}" for i, line in enumerate(lines, 1)
                   if columns(line) > COLUMNS]
    every = list(functions(paths))
    faults += [f"{path}:{line}: {name} has {lines} lines; at most {FUNCTION_LINES}"
               for path, line, name, lines, _ in every if lines > FUNCTION_LINES]
    own = [function for function in every if function[0].startswith("src/")]
    wide = [function for function in own if function[4] > PARAMETERS]
    print(f"{len(paths)} files, {len(every)} functions, longest {max(lines for *_, lines, _ in every)} lines; of the "
          f"{len(own)} in src {len(wide)} ({len(wide) / len(own):.1%}) have more than {PARAMETERS} parameters")
    if len(wide) > WIDE_SHARE * len(own):
        faults += [f"{path}:{line}: {name} has {count} parameters" for path, line, name, _, count in wide]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


sys.exit(main())
