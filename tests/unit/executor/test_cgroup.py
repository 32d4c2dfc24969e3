"""Control groups of both versions, as directories that look like them."""

from pathlib import Path

from headrace.executor._cgroup import Cgroup, CgroupMount, GroupLimits, hasten_moves


def tree(root: Path, name: str, controllers: str, **files: str) -> CgroupMount:
    group = root / name / "headrace" / "sbx_1"
    group.mkdir(parents=True)
    for file, text in files.items():
        (group / file.replace("__", ".")).write_text(text)
    return CgroupMount(str(root / name), frozenset(controllers.split()))


def test_version_1_tells_each_fact_in_the_tree_of_its_controller(tmp_path: Path) -> None:
    group = Cgroup(
        "/headrace/sbx_1",
        (
            tree(
                tmp_path,
                "memory",
                "memory",
                memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
                memory__max_usage_in_bytes="4096\n",
            ),
            tree(tmp_path, "pids", "pids", pids__events="max 3\n"),
            tree(tmp_path, "cpu", "cpu cpuacct", cpuacct__usage="2500000000\n"),
        ),
    )
    assert group.usage() == (True, True, 4096, 2.5)
    assert group.out_of_memory()


def test_version_2_tells_all_in_one_tree(tmp_path: Path) -> None:
    files = {
        "memory__events": "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n",
        "memory__peak": "8192\n",
        "pids__events": "max 0\n",
        "cpu__stat": "usage_usec 1500000\nuser_usec 1\n",
    }
    group = Cgroup("/headrace/sbx_1", (tree(tmp_path, "unified", "", **files),))
    assert group.usage() == (True, False, 8192, 1.5)


def test_in_the_hybrid_layout_the_controllers_are_in_version_1(tmp_path: Path) -> None:
    group = Cgroup(
        "/headrace/sbx_1",
        (
            tree(tmp_path, "unified", ""),
            tree(tmp_path, "memory", "memory", memory__oom_control="oom_kill 0\n", memory__max_usage_in_bytes="1\n"),
        ),
    )
    assert group.usage() == (False, False, 1, None)


def test_a_group_that_is_gone_has_used_nothing_and_has_nobody(tmp_path: Path) -> None:
    group = Cgroup("/headrace/gone", (CgroupMount(str(tmp_path), frozenset()),))
    assert group.usage() == (False, False, None, None)
    assert group.processes() == set()
    assert group.kill()
    assert group.remove()


def test_processes_of_groups_below_count_too(tmp_path: Path) -> None:
    mount = tree(tmp_path, "unified", "", cgroup__procs="10\n11\n")
    below = tmp_path / "unified/headrace/sbx_1/below"
    below.mkdir()
    (below / "cgroup.procs").write_text("12\n")
    assert Cgroup("/headrace/sbx_1", (mount,)).processes() == {10, 11, 12}


def test_making_a_group_leaves_nothing_above_the_tree(tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    for name in ("cgroup.procs", "cgroup.subtree_control"):
        (tmp_path / "unified" / name).touch()
    mount = CgroupMount(str(tmp_path / "unified"), frozenset())
    Cgroup("/headrace/sbx_1", (mount,)).make(GroupLimits(memory_bytes=2**20, pids=10))
    assert (tmp_path / "unified/headrace/sbx_1").is_dir()
    assert (tmp_path / "unified/cgroup.subtree_control").read_text()
    assert not (tmp_path / "cgroup.subtree_control").exists()


def test_version_1_tells_what_happened_in_a_group_below_there(tmp_path: Path) -> None:
    mount = tree(tmp_path, "memory", "memory", memory__oom_control="oom_kill 0\n")
    group = Cgroup("/headrace/sbx_1", (mount,))
    assert not group.out_of_memory()
    below = tmp_path / "memory/headrace/sbx_1/made-by-a-runtime"
    below.mkdir()
    (below / "memory.oom_control").write_text("oom_kill 1\n")
    assert group.out_of_memory()


def test_a_process_that_hastens_moves_stays_in_its_groups() -> None:
    before = Path("/proc/self/cgroup").read_text()
    hasten_moves()
    assert Path("/proc/self/cgroup").read_text() == before
