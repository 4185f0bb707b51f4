"""What the CUDA provider of an onnxruntime wheel does with operators and graphs, where there is no GPU (standins.py).

  cuda_without_gpu.py kernels FOLDER OPERATOR...   kernels and signatures of operators of ONNX, as JSON
  cuda_without_gpu.py place FOLDER MODEL...        where the nodes of models go, a JSON object a line

FOLDER is where `pip install --no-deps --target FOLDER onnxruntime-gpu==VERSION` put it, for the version of this Python;
it needs numpy beside.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

import standins

TRAINING = "com.microsoft"


def main(argv: "list[str]") -> None:
    command, folder, *rest = argv
    capi = os.path.join(folder, "onnxruntime", "capi")
    with tempfile.TemporaryDirectory() as libraries:
        standins.build(capi, libraries)
        environment = {**os.environ, "LD_LIBRARY_PATH": libraries, "ORT_DISABLE_TELEMETRY": "1", "PYTHONPATH": folder}
        for arguments in [rest] if command == "kernels" else [[model] for model in rest]:
            child = [sys.executable, __file__, "child", command, *arguments]
            ran = subprocess.run(child, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
            if ran.returncode != 0:
                raise SystemExit(f"{' '.join(arguments)}: {last_line(ran.stderr)}")
            if command == "kernels":
                print(ran.stdout)
            else:
                print(json.dumps({"model": arguments[0], **json.loads(ran.stdout), **placements(ran.stderr)}), flush=True)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it ended without a word"])[-1]


def placements(log: str) -> dict:
    """Nodes by provider, and those that are not on CUDA, from the log of a session."""
    counts, elsewhere, provider = {}, [], None
    for line in log.splitlines():
        head = re.search(r"placed on \[(\w+)\]\. Number of nodes: (\d+)", line)
        if head:
            provider = head[1]
            counts[provider] = int(head[2])
        elif provider and "VerifyEachNodeIsAssignedToAnEp]" in line:
            if provider != "CUDAExecutionProvider":
                elsewhere.append(line.split("VerifyEachNodeIsAssignedToAnEp]")[1].strip())
        else:
            provider = None
    return {"nodes": counts, "elsewhere": elsewhere}


def kernels(operators: "list[str]") -> None:
    import onnxruntime
    from onnxruntime.capi import _pybind_state as state

    found = {}
    for kernel in state.get_all_opkernel_def():
        if kernel.provider == "CUDAExecutionProvider" and kernel.domain == "" and kernel.op_name in operators:
            first, last = kernel.version_range
            types = " ".join(
                f"{name}:{','.join(map(short, sorted(allowed)))}" for name, allowed in sorted(kernel.type_constraints.items())
            )
            found.setdefault(kernel.op_name, set()).add((first, last if last < 2**31 - 1 else 0, types))
    signatures = {}
    for schema in state.get_all_operator_schema():
        if schema.domain == "" and schema.name in operators:
            signatures.setdefault(schema.name, {})[schema.since_version] = {
                "inputs": [parameter(each) for each in schema.inputs],
                "outputs": [parameter(each) for each in schema.outputs],
            }
    print(
        json.dumps(
            {
                "version": onnxruntime.__version__,
                "kernels": {
                    name: [f"{first}-{last or ''} {types}".strip() for first, last, types in sorted(ranges)]
                    for name, ranges in sorted(found.items())
                },
                "signatures": {name: versions for name, versions in sorted(signatures.items())},
            }
        )
    )


def parameter(formal) -> str:
    """e.g. `T`, `int64` for a type that is fixed, `T...` for any number of them."""
    variadic = "..." if str(formal.option).split(".")[-1].startswith("Variadic") else ""
    return short(formal.typeStr) + variadic


def short(name: str) -> str:
    inner = re.fullmatch(r"tensor\((\w+)\)", name)
    return {"float": "float32", "double": "float64"}.get(inner[1], inner[1]) if inner else name


def place(model: str) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 0
    options.log_verbosity_level = 0
    session = onnxruntime.InferenceSession(model, options, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    print(json.dumps({"version": onnxruntime.__version__, "providers": session.get_providers()}))


if sys.argv[1] == "child":
    kernels(sys.argv[3:]) if sys.argv[2] == "kernels" else place(sys.argv[3])
else:
    main(sys.argv[1:])
