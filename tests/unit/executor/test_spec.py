"""A command as a container's configuration: what is always there, and what nothing can change."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import ExecutorUnavailable
from headrace.executor._block_device import BlockDevice
from headrace.executor._spec import Place, container, environment, init_argv, mount_point
from headrace.linux import IdRange
from headrace.model.limits import Limits
from headrace.model.plan import StepId
from headrace.model.sandbox import SandboxCommand, SandboxMount

PLACE = Place(ids=(IdRange(0, 655_360, 65_536),), root="/stage/root", cgroup="/headrace/sbx_1")


def command(*argv: str, **fields: Any) -> SandboxCommand:
    return SandboxCommand(index=0, step=StepId.BUILD, argv=argv or ("npm", "run", "build"), **fields)


def config(place: Place = PLACE, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(container(command(**fields), place)))
    return made


def test_a_command_has_no_rights_and_cannot_get_any() -> None:
    process = config()["process"]
    assert process["noNewPrivileges"] is True
    assert set(map(tuple, process["capabilities"].values())) == {()}
    assert len(process["capabilities"]) == 5
    assert (process["user"]["uid"], process["user"]["gid"]) == (1000, 1000)
    assert process["terminal"] is False


def test_every_namespace_is_its_own_and_its_ids_are_a_range_of_its_own() -> None:
    linux = config()["linux"]
    kinds = {"user", "pid", "mount", "ipc", "uts", "cgroup", "network"}
    assert {space["type"] for space in linux["namespaces"]} == kinds
    assert all("path" not in space for space in linux["namespaces"])
    assert linux["uidMappings"] == linux["gidMappings"] == [{"containerID": 0, "hostID": 655_360, "size": 65_536}]


def test_the_root_is_read_only_and_nothing_of_the_machine_is_mounted() -> None:
    made = config()
    assert made["root"] == {"path": "/stage/root", "readonly": True}
    assert {mount["type"] for mount in made["mounts"]} == {"proc", "tmpfs", "devpts"}
    assert "/sys" not in {mount["destination"] for mount in made["mounts"]}
    assert made["linux"]["resources"]["devices"] == [{"allow": False, "access": "rwm"}]


def test_limits_are_those_of_the_command_and_there_is_no_swap() -> None:
    limits = Limits(cpus=1.5, memory_bytes=2**28, pids=77, disk_bytes=2**30)
    made = config(PLACE._replace(processors=(1, 3), descriptors=4096), limits=limits)
    resources = made["linux"]["resources"]
    assert resources["memory"] == {"limit": 2**28, "swap": 2**28}
    assert resources["cpu"] == {"period": 100_000, "quota": 150_000, "cpus": "1,3"}
    assert resources["pids"] == {"limit": 77}
    hard = {limit["type"]: limit["hard"] for limit in made["process"]["rlimits"]}
    assert hard == {"RLIMIT_CORE": 1, "RLIMIT_NOFILE": 4096, "RLIMIT_FSIZE": 2**30}


def test_traffic_of_disks_is_limited_where_a_limit_is_set() -> None:
    assert "blockIO" not in config()["linux"]["resources"]
    made = config(PLACE._replace(disk=(BlockDevice(8, 16), 2**20)))["linux"]["resources"]["blockIO"]
    limit = [{"major": 8, "minor": 16, "rate": 2**20}]
    assert made == {"throttleReadBpsDevice": limit, "throttleWriteBpsDevice": limit}


def test_arguments_of_the_command_stay_arguments() -> None:
    argv = init_argv(command("a b", "$(reboot)", "; rm -rf /", "--privileged"), {"A": "1"})
    assert argv[-4:] == ["a b", "$(reboot)", "; rm -rf /", "--privileged"]
    assert not any("reboot" in part for part in argv[:-4])


def test_a_variable_that_a_shell_would_drop_goes_around_it() -> None:
    argv = init_argv(command("npm", "ci"), {"GOOD": "1", "npm_config_//r/:_auth": "s"})
    assert argv[-4:] == ["/usr/bin/env", "npm_config_//r/:_auth=s", "npm", "ci"]


def test_the_environment_is_what_was_declared_over_what_every_sandbox_has() -> None:
    env = environment(command(env={"PATH": "/x", "CI": "true"}), proxy=False)
    assert (env["PATH"], env["CI"], env["HOME"]) == ("/x", "true", "/home/builder")
    assert not [name for name in env if "proxy" in name.lower()]


def test_a_network_phase_joins_the_prepared_network_and_names_the_proxy() -> None:
    made = config(PLACE._replace(network="/stage/network"))
    assert {"type": "network", "path": "/stage/network"} in made["linux"]["namespaces"]
    env = dict(pair.split("=", 1) for pair in made["process"]["env"])
    assert env["HTTPS_PROXY"] == env["https_proxy"] == "http://127.0.0.1:3128"
    assert "127.0.0.1" in env["NO_PROXY"]


@pytest.mark.parametrize(
    "target", ["/", "/etc", "/app", "/opt/headrace", "/opt/headrace/a/b", "/opt/headrace/..", "tool"]
)
def test_nothing_is_mounted_outside_the_place_for_tools(target: str, tmp_path: Any) -> None:
    with pytest.raises(ExecutorUnavailable):
        mount_point(SandboxMount(source=tmp_path, target=target))


def test_a_tool_is_mounted_by_its_name(tmp_path: Any) -> None:
    assert mount_point(SandboxMount(source=tmp_path, target="/opt/headrace/node-24.1.0")) == "node-24.1.0"


def rules(name: str) -> Iterator[dict[str, Any]]:
    yield from (rule for rule in config()["linux"]["seccomp"]["syscalls"] if name in rule["names"])


def test_what_is_not_allowed_does_not_exist() -> None:
    seccomp = config()["linux"]["seccomp"]
    assert (seccomp["defaultAction"], seccomp["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 38)
    assert len(seccomp["architectures"]) <= 1


@pytest.mark.parametrize(
    "name",
    "mount unshare setns keyctl add_key ptrace bpf io_uring_setup userfaultfd perf_event_open open_by_handle_at kexec_load "
    "init_module reboot process_vm_readv pidfd_getfd move_mount open_tree fsopen clone3 socketcall".split(),
)
def test_calls_that_reach_beyond_a_process_are_never_allowed(name: str) -> None:
    assert not [rule for rule in rules(name) if rule["action"] == "SCMP_ACT_ALLOW"]


def test_cloning_is_allowed_without_new_namespaces_only() -> None:
    (allowing,) = [rule for rule in rules("clone") if rule["action"] == "SCMP_ACT_ALLOW"]
    assert allowing["args"] == [{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 0x7E020000, "valueTwo": 0}]


def test_sockets_are_allowed_by_family_only() -> None:
    assert {rule["args"][0]["value"] for rule in rules("socket")} == {1, 2, 10, 16}
    assert all(rule["args"] for rule in rules("socket"))


def test_limits_may_be_lowered_but_not_that_of_core_dumps() -> None:
    for name, index in (("setrlimit", 0), ("prlimit64", 1)):
        conditions = [rule["args"] for rule in rules(name)]
        assert [{"index": index, "op": "SCMP_CMP_NE", "value": 4, "valueTwo": 0}] in conditions
        assert all(conditions), "never without a condition"


def test_space_is_not_taken_without_being_written() -> None:
    (rule,) = rules("fallocate")
    assert (rule["action"], rule["errnoRet"]) == ("SCMP_ACT_ERRNO", 95)
