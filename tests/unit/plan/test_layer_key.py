from headrace.model.digest import digest_of
from headrace.model.plan import BuildPlan, CacheKey
from headrace.model.project import ProjectSettings
from headrace.model.version import Tree, TreeFile
from headrace.plan.explain import explain
from headrace.plan.layer_key import first_difference, layer_key, result_key
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import MemoryFiles

FILES = {
    "package.json": '{"scripts": {"build": "vite build"}, "dependencies": {"vite": "8"}}',
    "package-lock.json": "{}",
    "src/main.ts": "1",
}


def tree(files: dict[str, str]) -> Tree:
    return Tree(
        files=tuple(TreeFile(path=p, digest=digest_of(t.encode()), size=len(t)) for p, t in sorted(files.items()))
    )


def plan(files: dict[str, str]) -> BuildPlan:
    return make_plan(MemoryFiles(files), ProjectSettings(), PlanLimits())


def dependencies(files: dict[str, str] | None = None, scope: str = "workspace:a", base_system: str = "x") -> CacheKey:
    given = FILES if files is None else files
    return layer_key(plan(given), tree(given), scope=scope, base_system=base_system)


def result(files: dict[str, str] | None = None, env: dict[str, str] | None = None) -> CacheKey:
    given = FILES if files is None else files
    return result_key(plan(given), digest_of(repr(sorted(given.items())).encode()), env or {}, "x")


def test_equal_inputs_make_equal_keys() -> None:
    assert dependencies() == dependencies()
    assert result() == result()


def test_a_source_file_does_not_change_the_layer() -> None:
    assert dependencies({**FILES, "src/main.ts": "2"}) == dependencies()


def test_a_build_script_does_not_change_the_layer() -> None:
    edited = {**FILES, "package.json": FILES["package.json"].replace("vite build", "vite build --debug")}
    assert dependencies(edited) == dependencies()
    assert result(edited) != result()


def test_the_first_difference_is_named_as_people_know_it() -> None:
    before = dependencies()
    locked = {**FILES, "package-lock.json": '{"a": 1}'}
    node = {
        **FILES,
        "package.json": '{"scripts": {"build": "vite build"}, "dependencies": {"vite": "8"}, "engines": {"node": "20"}}',
    }
    assert first_difference(dependencies(locked), before) == "file package-lock.json"
    assert first_difference(dependencies(node), before) == "file package.json"
    assert first_difference(dependencies(base_system="y"), before) == "base system"
    assert first_difference(dependencies({**FILES, ".nvmrc": "20"}), before) == "tool node"


def test_an_input_that_went_away_is_a_difference_too() -> None:
    assert first_difference(dependencies(), dependencies({**FILES, ".npmrc": "x=1"})) == "file .npmrc"


def test_nothing_differs_from_itself_or_from_nothing() -> None:
    assert first_difference(dependencies(), dependencies()) is None
    assert first_difference(dependencies(), None) is None


def test_another_tenant_has_another_key_for_the_same_lock_file() -> None:
    assert dependencies(scope="workspace:a").digest != dependencies(scope="workspace:b").digest


def test_a_variable_is_named_and_its_value_is_not_stored() -> None:
    key = result(env={"TOKEN": "hunter2hunter2"})
    assert first_difference(key, result(env={"TOKEN": "other"})) == "setting TOKEN"
    assert "hunter2" not in key.model_dump_json()


def test_limits_and_reasons_do_not_change_the_result() -> None:
    made = plan(FILES)
    slower = make_plan(MemoryFiles(FILES), ProjectSettings(), PlanLimits(build_seconds=7)).but(choices=())
    digest = digest_of(b"")
    assert result_key(made, digest, {}, "x") == result_key(slower, digest, {}, "x")


def test_a_decision_in_words() -> None:
    key = dependencies()
    short = key.digest[7:19]
    hit = explain("dependencies", key, hit=True, seconds_saved=6.14, made_by="build_1")
    assert hit == f"Cache hit! dependencies of key {short} restored, 6.1 s saved, made by build_1"
    miss = explain("dependencies", key, hit=False, differs="file package-lock.json")
    assert miss == f"Cache miss for key {short}: file package-lock.json differs from the last build"
    assert explain("result", key, hit=False) == f"Cache miss for key {short}: not built with these inputs before"
