"""Stand-ins for NVIDIA's libraries, so that ONNX Runtime's CUDA provider loads where there is no GPU.

Its kernels are registered and a model's nodes are given to them as on a GPU; memory is the host's, copies are made, and
no kernel computes anything. Needs cc, nm and readelf.
"""

import collections
import glob
import os
import re
import subprocess

NVIDIA = re.compile(r"lib(cu|nv|nccl)\w*\.so")
# Symbols without a version, by the library that has them.
PREFIXES = (
    ("cuda", r"cu[A-Z]"),
    ("cudart", r"(__)?cuda"),
    ("cublasLt", r"cublasLt"),
    ("cublas", r"cublas"),
    ("cudnn", r"cudnn"),
    ("curand", r"curand"),
    ("cufft", r"cufft"),
    ("nccl", r"nccl"),
    ("nvonnxparser", r"createNvOnnx"),
    ("nvinfer_plugin", r"initLibNvInfer"),
    ("nvinfer", r"createInfer|getInfer|getPlugin"),
)
MEMORY = """
#include <stdlib.h>
#include <string.h>
static int give(void **p, size_t n) { *p = calloc(1, n + 1); return 0; }
"""
SPECIAL = {
    "cudaMalloc": "int cudaMalloc(void **p, size_t n) { return give(p, n); }",
    "cudaMallocHost": "int cudaMallocHost(void **p, size_t n) { return give(p, n); }",
    "cudaHostAlloc": "int cudaHostAlloc(void **p, size_t n, unsigned f) { return give(p, n); }",
    "cudaFree": "int cudaFree(void *p) { free(p); return 0; }",
    "cudaFreeHost": "int cudaFreeHost(void *p) { free(p); return 0; }",
    "cudaMemcpy": "int cudaMemcpy(void *d, const void *s, size_t n, int k) { memmove(d, s, n); return 0; }",
    "cudaMemcpyAsync": "int cudaMemcpyAsync(void *d, const void *s, size_t n, int k, void *t) { memmove(d, s, n); return 0; }",
    "cudaMemset": "int cudaMemset(void *d, int v, size_t n) { memset(d, v, n); return 0; }",
    "cudaMemsetAsync": "int cudaMemsetAsync(void *d, int v, size_t n, void *t) { memset(d, v, n); return 0; }",
    "cudaGetDeviceCount": "int cudaGetDeviceCount(int *n) { *n = 1; return 0; }",
    "cudaGetDevice": "int cudaGetDevice(int *n) { *n = 0; return 0; }",
    "cudaMemGetInfo": "int cudaMemGetInfo(size_t *f, size_t *t) { *f = *t = 1ul << 36; return 0; }",
    "cudaStreamEndCapture": "int cudaStreamEndCapture(void *t, void **g) { return give(g, 64); }",
    "cuInit": "int cuInit(unsigned f) { return 0; }",
    "cuDeviceGetCount": "int cuDeviceGetCount(int *n) { *n = 1; return 0; }",
    "cuDeviceGet": "int cuDeviceGet(int *d, int n) { *d = n; return 0; }",
    "cuDevicePrimaryCtxRetain": "int cuDevicePrimaryCtxRetain(void **c, int d) { return give(c, 64); }",
    "cuCtxSetCurrent": "int cuCtxSetCurrent(void *c) { return 0; }",
    "cuCtxSynchronize": "int cuCtxSynchronize() { return 0; }",
    "cuMemAlloc_v2": "int cuMemAlloc_v2(void **p, size_t n) { return give(p, n); }",
    "cuMemFree_v2": "int cuMemFree_v2(void *p) { free(p); return 0; }",
    "cuMemcpyHtoD_v2": "int cuMemcpyHtoD_v2(void *d, const void *s, size_t n) { memmove(d, s, n); return 0; }",
    "cuMemcpyDtoH_v2": "int cuMemcpyDtoH_v2(void *d, const void *s, size_t n) { memmove(d, s, n); return 0; }",
    "cuGetErrorName": "int cuGetErrorName(int e, const char **s) { *s = \"a stand-in\"; return 0; }",
    "__cudaRegisterFatBinary": "static void *binary[4]; void *__cudaRegisterFatBinary(void *b) { return binary; }",
}
# An object whose methods do nothing, for what asks TensorRT.
for _name in ("getPluginRegistry", "createInferBuilder_INTERNAL", "createInferRuntime_INTERNAL"):
    SPECIAL[_name] = (
        f"static long {_name}_none() {{ return 0; }} static void *{_name}_table[99]; static void *{_name}_object[99]; "
        f"void *{_name}() {{ for (int i = 0; i < 99; i++) {_name}_table[i] = (void *){_name}_none; "
        f"{_name}_object[0] = {_name}_table; return {_name}_object; }}"
    )
HANDLES = (
    "cublasCreate_v2 cublasLtCreate cudnnCreate curandCreateGenerator cudaStreamCreate cudaStreamCreateWithFlags "
    "cudaEventCreate cudaEventCreateWithFlags cudaGraphInstantiate cudnnCreateTensorDescriptor cudnnCreateFilterDescriptor "
    "cudnnCreateConvolutionDescriptor cudnnCreatePoolingDescriptor cudnnCreateActivationDescriptor "
    "cudnnCreateDropoutDescriptor cudnnCreateRNNDescriptor cudnnCreateLRNDescriptor cudnnCreateReduceTensorDescriptor"
).split()
WORDS = "cudaGetErrorString cudaGetErrorName cublasGetStatusString cublasGetStatusName cudnnGetErrorString ncclGetErrorString".split()


def build(capi: str, out: str) -> None:
    """Builds into `out` what the provider libraries of `capi`, an onnxruntime/capi folder, need of NVIDIA's."""
    os.makedirs(out, exist_ok=True)
    symbols = collections.defaultdict(set)
    versioned = set()
    libraries = glob.glob(os.path.join(capi, "*.so*"))
    needed = sorted({name for path in libraries for name in _needed(path) if NVIDIA.match(name)})
    for path in libraries:
        for symbol, version in _undefined(path):
            if version in needed:
                symbols[version].add(symbol)
                versioned.add(version)
            elif version == "":
                for library, prefix in PREFIXES:
                    if re.match(prefix, symbol):
                        owner = [name for name in needed if name.startswith(f"lib{library}.so")]
                        if owner:
                            symbols[owner[0]].add(symbol)
                            break
    # The driver is opened by name, its functions are looked up by theirs.
    needed = sorted({*needed, "libcuda.so.1"})
    for path in libraries:
        with open(path, "rb") as file:
            found = re.findall(rb"\0(cu[A-Z]\w+)(?=\0)", file.read())
        symbols["libcuda.so.1"].update(name.decode() for name in found)
    symbols["libcuda.so.1"].update(name for name in SPECIAL if re.match("cu[A-Z]", name))
    for name in needed:
        _library(out, name, symbols[name], name in versioned)


def _library(out: str, name: str, symbols: "set[str]", versioned: bool) -> None:
    path = os.path.join(out, name)
    with open(f"{path}.c", "w") as file:
        file.write(MEMORY + "\n".join(map(_definition, sorted(symbols))) + "\n")
    command = ["cc", "-shared", "-fPIC", "-w", "-o", path, f"{path}.c", f"-Wl,-soname,{name}"]
    if versioned:
        with open(f"{path}.map", "w") as file:
            file.write(f"{name} {{ global: *; }};\n")
        command.append(f"-Wl,--version-script,{path}.map")
    subprocess.run(command, check=True)


def _definition(name: str) -> str:
    if name in SPECIAL:
        return SPECIAL[name]
    if name in HANDLES:
        return f"int {name}(void **p) {{ return give(p, 4096); }}"
    if name in WORDS:
        return f'const char *{name}(int e) {{ return "a stand-in"; }}'
    return f"long {name}() {{ return 0; }}"


def _needed(path: str) -> "list[str]":
    return re.findall(r"NEEDED.*\[(.*?)\]", _output("readelf", "-d", path))


def _undefined(path: str) -> "list[tuple[str, str]]":
    names = [line.split()[-1] for line in _output("nm", "-D", "--undefined-only", path).splitlines()]
    return [tuple((name + "@").split("@")[:2]) for name in names]


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
