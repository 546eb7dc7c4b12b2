# SPDX-License-Identifier: MIT
"""A bundle for crun(1), as Docker would start it: the profile of seccomp that
it has by default or the one given, its default capabilities and those given.

  container.py BUNDLE PROFILE "CAP..." LIBRARY-DIRECTORY WORK PROGRAM ARGUMENT...

In there /usr and /etc are the host's, LIBRARY-DIRECTORY is /mp, WORK is /work.
"""
import json
import os
import resource
import sys

bundle, profile, extra, library, work, *args = sys.argv[1:]

# moby's oci/caps/defaults.go
CAPS = ["CAP_" + name for name in (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP "
    "SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE").split()]
CAPS += extra.split()


def filters(path):
    """The profile's file as the runtime gets it: rules that apply here."""
    text = json.load(open(path, encoding="utf-8"))
    rules = []
    for rule in text["syscalls"]:
        with_, without = rule.get("includes") or {}, rule.get("excludes") or {}
        if not set(with_.get("caps", [])) <= set(CAPS) or \
           set(without.get("caps", [])) & set(CAPS):
            continue
        if "amd64" not in with_.get("arches", ["amd64"]):
            continue
        rules.append({key: rule[key] for key in
                      ("names", "action", "args", "errnoRet")
                      if rule.get(key) is not None})
    return {"defaultAction": text["defaultAction"],
            "defaultErrnoRet": text.get("defaultErrnoRet", 1),
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            "syscalls": rules}


def limit(which, most):
    hard = resource.getrlimit(getattr(resource, which))[1]
    if hard == resource.RLIM_INFINITY or hard > most:
        hard = most
    return {"type": which, "hard": hard, "soft": hard}


def bind(source, to, mode):
    return {"destination": to, "source": source, "type": "bind",
            "options": ["rbind", mode]}


config = json.load(open(f"{bundle}/config.json", encoding="ascii"))
config["linux"]["seccomp"] = filters(profile)
config["process"].update({
    "terminal": False, "args": args,
    "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
    "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_PRELOAD=/mp/libmegapipe-preload.so"],
    "rlimits": [limit("RLIMIT_NOFILE", 1 << 20),
                limit("RLIMIT_MEMLOCK", 64 << 20)]})
config["mounts"] += [bind("/usr", "/usr", "ro"), bind("/etc", "/etc", "ro"),
                     bind(library, "/mp", "ro"), bind(work, "/srv", "rw")]
config["root"] = {"path": "rootfs", "readonly": False}
for name in ("bin", "sbin", "lib", "lib64"):
    if not os.path.lexists(f"{bundle}/rootfs/{name}"):
        os.symlink(f"usr/{name}", f"{bundle}/rootfs/{name}")
with open(f"{bundle}/config.json", "w", encoding="ascii") as f:
    json.dump(config, f)
