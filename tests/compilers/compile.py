#!/usr/bin/env python3
"""compile.py KERNELS: compiles what write_kernels wrote into KERNELS with the GPU vendors' own compilers, which need no card.

AMD's is clang, from LLVM 19 on, with Debian's rocm-device-libs; Intel's is ocloc, of Debian's intel-opencl-icd; NVIDIA's are
NVRTC and ptxas, of PyPI's nvidia-cuda-nvrtc-cu12 and nvidia-cuda-nvcc-cu12. Prints a table of what each kernel file takes.
Fails if a file does not compile, and if cl/gemm_tile.cl spills on a target that chooses it, in bf16 or in f16, or lacks the
matrix instruction that it is compiled for. Exits with 77 if there is no compiler; one that is missing is named.

  GEE_OCLOC      ocloc, if it is not in $PATH
  GEE_COMPILERS  the folder of NVIDIA's packages (~/.cache/gee-cl/compilers, where scripts/test.sh puts them)
"""

import collections
import ctypes
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

# Each target, the tiles that it chooses in bf16 and in f16, and what its compiler calls the device. AMD's device libraries of
# Debian 12 know fewer cards than its clang: those of the nearest one are taken, of which a kernel uses what is the same in all.
AMD = [("gfx803", "PLAIN", "PLAIN", "803"), ("gfx900", "PLAIN", "PLAIN", "900"), ("gfx906", "PLAIN", "DOT2", "906"),
       ("gfx908", "MFMA_8", "MFMA", "908"), ("gfx90a", "MFMA", "MFMA", "90a"), ("gfx942", "MFMA", "MFMA", "940"),
       ("gfx1011", "PLAIN", "DOT2", "1011"), ("gfx1030", "PLAIN", "DOT2", "1030"), ("gfx1100", "WMMA", "WMMA", "1036"),
       ("gfx1200", "WMMA_12", "WMMA_12", "1036")]
INTEL = [("skl", "PLAIN", "PLAIN"), ("tgllp", "PLAIN", "PLAIN"), ("dg2-g10", "XMX_8", "XMX_8"), ("pvc", "XMX_16", "XMX_16")]
NVIDIA = [("sm_75", "PLAIN", "MMA_8"), ("sm_80", "MMA", "MMA"), ("sm_90", "MMA", "MMA"), ("sm_120", "MMA", "MMA")]
FACTORS = ["bf16", "f16"]
PROBED = ["MMA", "MMA_8", "WMMA", "WMMA_12", "MFMA", "MFMA_8", "XMX_16", "XMX_8", "DOT2"]  # as cl/probe_gpu.cl counts them

BITCODE = "/usr/lib/x86_64-linux-gnu/amdgcn/bitcode"
# Debian's ocloc does not know the extension, which real drivers declare.
XMX = "".join(f"float8 __attribute__((overloadable)) intel_sub_group_{t}_{t}_matrix_mad_k16({a} a, int8 b, float8 c);\n"
              for a in ("short8", "int8") for t in FACTORS)

Found = collections.namedtuple("Found", "registers spills local occupancy engine")


def run(command, **options):
    """The output of a command that must succeed."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise RuntimeError(f"{command[0]}: {(result.stdout + result.stderr).strip()[:2000]}")
    return result.stdout + result.stderr


def options_of(path):
    with open(path + ".options", encoding="utf-8") as file:
        return file.read().split()


def most(pattern, text):
    """The largest number that the pattern finds, or None."""
    return max((int(number) for number in re.findall(pattern, text)), default=None)


class Amd:
    targets = [(name, tiles) for name, *tiles, _ in AMD]

    def __init__(self):
        found = [path for version in range(30, 18, -1) if (path := shutil.which(f"clang-{version}"))]
        if not found or not os.path.isdir(BITCODE):
            raise RuntimeError("clang-19 and rocm-device-libs")
        self.clang = found[0]

    def command(self, target):
        return [self.clang, "-x", "cl", "-cl-std=CL1.2", "-D__OPENCL_VERSION__=120", "-w", "-target", "amdgcn-amd-amdhsa",
                "-mcpu=" + target, "-nogpulib"]

    def probed(self, path, target):
        """The first tiles that cl/probe_gpu.cl takes this compiler to know, in bf16 and in f16."""
        text = run([*self.command(target), "-E", "-P", path])
        found = [(PROBED[int(i)], sum(map(int, factors.split(" + ")))) for i, factors in re.findall(r"found\[(\d)\] = ([12 +]+);", text)]
        return [next((tile for tile, factors in found if factors & wanted), "PLAIN") for wanted in (1, 2)]

    def compile(self, path, target, folder):
        version = next(number for name, *_, number in AMD if name == target)
        wave = "off" if target.startswith("gfx1") else "on"
        libraries = ["opencl", "ocml", "ockl", "oclc_daz_opt_off", "oclc_unsafe_math_off", "oclc_finite_only_off",
                     "oclc_correctly_rounded_sqrt_on", "oclc_wavefrontsize64_" + wave, "oclc_isa_version_" + version,
                     "oclc_abi_version_500"]
        linked = [word for name in libraries for word in ("-Xclang", "-mlink-builtin-bitcode", "-Xclang", f"{BITCODE}/{name}.bc")]
        run([*self.command(target), "-O3", *linked, *options_of(path), "-S", "-o", folder + "/code.s", path + ".cl"])
        with open(folder + "/code.s", encoding="utf-8") as file:
            code = file.read()
        return Found(most(r"\.vgpr_count: +(\d+)", code), most(r"\.vgpr_spill_count: +(\d+)", code),
                     most(r"\.group_segment_fixed_size: +(\d+)", code),
                     min(int(waves) for waves in re.findall(r"; Occupancy: (\d+)", code)), len(re.findall(r"\tv_mfma|\tv_wmma|\tv_dot2c?_f32_f16", code)))


class Intel:
    targets = [(name, tiles) for name, *tiles in INTEL]

    def __init__(self):
        self.ocloc = os.environ.get("GEE_OCLOC") or shutil.which("ocloc")
        if not self.ocloc:
            raise RuntimeError("ocloc (intel-opencl-icd)")
        # ocloc disassembles with a library by the name that only a package for developers has.
        self.libraries = tempfile.TemporaryDirectory()
        folders = os.environ.get("LD_LIBRARY_PATH", "").split(":") + ["/usr/lib/x86_64-linux-gnu"]
        library = next((found for folder in folders if folder and os.path.exists(found := folder + "/libiga64.so.1")), None)
        if library:
            os.symlink(library, self.libraries.name + "/libiga64.so")
        self.environment = dict(os.environ, LD_LIBRARY_PATH=":".join([self.libraries.name, *folders]))

    def compile(self, path, target, folder):
        with open(path + ".cl", encoding="utf-8") as file, open(folder + "/kernel.cl", "w", encoding="utf-8") as copy:
            copy.write((XMX if "XMX" in path else "") + file.read())
        options = " ".join(["-cl-std=CL1.2", *options_of(path)])
        said = run([self.ocloc, "compile", "-file", folder + "/kernel.cl", "-device", target, "-options", options, "-output",
                    "code", "-out_dir", folder], env=self.environment)
        run([self.ocloc, "disasm", "-file", glob.glob(folder + "/*.bin")[0], "-device", target, "-dump", folder + "/dump"],
            env=self.environment)
        code = ""
        for name in glob.glob(folder + "/dump/*.asm"):
            with open(name, encoding="utf-8") as file:
                code += file.read()
        if not code:
            raise RuntimeError("ocloc did not disassemble")
        return Found(None, most(r"spilled around (\d+)", said) or 0, None, None, len(re.findall(r"\bdpas", code)))


class Nvidia:
    targets = [(name, tiles) for name, *tiles in NVIDIA]

    def __init__(self):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        folder = os.environ.get("GEE_COMPILERS") or cache + "/gee-cl/compilers"
        libraries = glob.glob(folder + "/**/libnvrtc.so.*", recursive=True)
        assemblers = glob.glob(folder + "/**/bin/ptxas", recursive=True)
        if not libraries or not assemblers:
            raise RuntimeError("NVRTC and ptxas in " + folder)
        self.nvrtc, self.ptxas = ctypes.CDLL(libraries[0]), assemblers[0]
        if not os.access(self.ptxas, os.X_OK):
            os.chmod(self.ptxas, 0o755)

    def text(self, program, what):
        size = ctypes.c_size_t()
        getattr(self.nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        getattr(self.nvrtc, "nvrtcGet" + what)(program, text)
        return text.value

    def ptx(self, path, target):
        with open(path + ".cl", "rb") as file:
            source = file.read()
        words = [word.encode() for word in [target.replace("sm_", "--gpu-architecture=compute_"), *options_of(path)]]
        program = ctypes.c_void_p()
        self.nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"kernel", 0, None, None)
        failed = self.nvrtc.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
        text = self.text(program, "ProgramLog" if failed else "PTX")
        self.nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
        if failed:
            raise RuntimeError("NVRTC: " + text.decode()[:2000])
        return text

    def compile(self, path, target, folder):
        code = self.ptx(path, target)
        with open(folder + "/code.ptx", "wb") as file:
            file.write(code)
        said = run([self.ptxas, "-v", "-arch=" + target, folder + "/code.ptx", "-o", folder + "/code.cubin"])
        return Found(most(r"Used (\d+) registers", said), most(r"(\d+) bytes spill stores", said), most(r"(\d+) bytes smem", said) or 0,
                     None, code.count(b"mma.sync"))


def compile_all(vendor, kernels):
    """Prints a line for each kernel file and target; returns the mistakes."""
    mistakes = []
    files = sorted(path[:-3] for path in glob.glob(kernels + "/*.cl"))
    for target, tiles in vendor.targets:
        if hasattr(vendor, "probed"):
            probed = vendor.probed(kernels + "/probe_gpu.cl", target)
            if probed != tiles:
                mistakes.append(f"{target}: cl/probe_gpu.cl takes its compiler to know {probed}, not {tiles}")
        wanted = [f"gemm_tile-MATRIX_{tile}-{factors}" for tile, factors in zip(tiles, FACTORS)]
        for path in files:
            name = os.path.basename(path)
            chosen = name in wanted
            if name == "probe_gpu" or (name.startswith("gemm_tile") and not chosen and "PLAIN" not in name):
                continue
            try:
                with tempfile.TemporaryDirectory() as folder:
                    found = vendor.compile(path, target, folder)
            except RuntimeError as error:
                mistakes.append(f"{name} for {target}: {error}")
                continue
            print(f"| {name:28} | {target:8} | " + " | ".join(f"{'–' if number is None else number:>9}" for number in found) + " |")
            if chosen and found.spills:
                mistakes.append(f"{name} for {target} spills {found.spills}")
            if chosen and (found.engine == 0) != ("PLAIN" in name):
                mistakes.append(f"{name} for {target} has {found.engine} matrix instructions")
    return mistakes


def main():
    mistakes, vendors = [], 0
    print("| file | target | registers | spills | local memory | waves | matrix instructions |\n|---|---|---|---|---|---|---|")
    for kind in (Amd, Intel, Nvidia):
        try:
            vendor = kind()
        except RuntimeError as missing:
            print(f"skipped: {missing} not found", file=sys.stderr)
            continue
        vendors += 1
        mistakes += compile_all(vendor, sys.argv[1])
    for mistake in mistakes:
        print("wrong: " + mistake, file=sys.stderr)
    sys.exit(1 if mistakes else 0 if vendors else 77)


if __name__ == "__main__":
    main()
