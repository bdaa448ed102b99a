"""Stages, their order, and which variables are seen where."""

import pytest

from cove.dockerfile import DockerfileError, ImageOrigin, Options, Plan, Scope, Scratch, StageOrigin, parse, plan
from cove.dockerfile.instructions import Arg, Copy, Env, Run
from cove.platform import Platform

AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")


def planned(text: str, target: str = "", platform: Platform | None = None, **arguments: str) -> Plan:
    return plan(parse(text.encode()), Options(target, arguments, AMD, platform))


def test_only_what_the_target_needs_is_in_the_order_and_needs_come_first() -> None:
    made = planned(
        "FROM a AS one\nFROM b AS two\nFROM one AS three\nCOPY --from=two / /\nFROM c AS unused\n"
        "FROM three\nRUN --mount=type=bind,from=one true\n"
    )
    assert made.order == (0, 1, 2, 4)
    assert planned("FROM a AS one\nFROM one AS two\nFROM two AS three\n", target="TWO").order == (0, 1)
    assert planned("FROM a\nFROM b\n", target="0").order == (0,)


def test_a_chain_of_thousands_of_stages_is_ordered() -> None:
    text = "FROM scratch AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(3000))
    assert planned(text).order == tuple(range(3001))


def test_bases_and_origins_are_resolved() -> None:
    made = planned(
        "FROM scratch AS one\nFROM busybox\nCOPY --from=one a /\nCOPY --from=0 a /\nCOPY --from=alpine a /\nCOPY a /\n"
        "RUN --mount=type=cache,target=/c --mount=from=one,target=/x true\n"
    )
    assert made.stages[0].base == Scratch()
    assert made.stages[1].base == ImageOrigin("busybox")
    assert [origins for _, origins in made.stages[1].origins] == [
        (StageOrigin(0),),
        (StageOrigin(0),),
        (ImageOrigin("alpine"),),
        (),
        (None, StageOrigin(0)),
    ]


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("FROM a AS one\n", "onne", 'target stage "onne" could not be found (did you mean one?)'),
        ("FROM a\n", "7", 'target stage "7" could not be found'),
        ("FROM $NO\n", "", "base name ($NO) should not be blank"),
        ("FROM --platform=$NO a\n", "", "empty platform value from expression $NO"),
        ("FROM --platform=$TARGETPLATFROM a\n", "", "(did you mean TARGETPLATFORM?)"),
        ("FROM --platform=a/b/c/d a\n", "", "failed to parse platform a/b/c/d: "),
        ("FROM a\nCOPY --from=3 a /\n", "", "invalid stage index 3"),
        ("FROM a AS x\nCOPY --from=x a /\n", "", "circular dependency detected on stage: x"),
        ("FROM a\nCOPY --from=0 a /\n", "", "circular dependency detected on stage: stage-0"),
        (
            "FROM a AS x\nCOPY --from=y a /\nFROM b AS y\n",
            "",
            'cannot copy from stage "y", it needs to be defined before',
        ),
        ("FROM a\nCOPY --from=$x a /\n", "", "variable expansion is not supported for --from"),
    ],
)
def test_what_cannot_be_planned_is_said(text: str, target: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        planned(text, target)
    assert message in caught.value.message


def test_from_sees_the_global_arguments_and_the_platforms() -> None:
    text = "ARG NAME=busybox\nARG TAG=${NAME}-1\nFROM --platform=$BUILDPLATFORM $NAME:$TAG\n"
    stage = planned(text, platform=ARM, TAG="mine").stages[0]
    assert stage.base == ImageOrigin("busybox:mine")
    assert stage.platform == AMD
    assert stage.used == {"NAME", "TAG", "BUILDPLATFORM"}
    assert planned(text).stages[0].base == ImageOrigin("busybox:busybox-1")


def scoped(made: Plan, index: int = 0, scope: Scope | None = None, **environment: str) -> tuple[Scope, list[object]]:
    scope = scope or Scope(dict(environment), made.globals, made.options.arguments, made.dockerfile.escape)
    return scope, [scope.enter(each).instruction for each in made.stages[index].stage.instructions]


def test_arguments_are_seen_where_they_are_declared() -> None:
    made = planned(
        "ARG GLOBAL=g\nFROM a\nARG GLOBAL\nARG D=$GLOBAL-d\nARG E=x F\nENV E=env D2=$D\nRUN x\nCOPY $D $E /\n",
        E="given",
    )
    scope, instructions = scoped(made, PATH="/bin")
    assert scope.environment == {"PATH": "/bin", "GLOBAL": "g", "D": "g-d", "E": "env", "D2": "g-d"}
    assert scope.arguments == {"GLOBAL": "g", "D": "g-d", "E": "given", "F": None}
    assert scope.visible_arguments == {"GLOBAL": "g", "D": "g-d", "E": "env", "F": ""}
    *_, env, _, copy = instructions
    assert isinstance(env, Env)
    assert isinstance(copy, Copy)
    assert [(pair.name, pair.value) for pair in env.pairs] == [("E", "env"), ("D2", "g-d")]
    assert copy.sources == ("g-d", "env")


def test_an_env_sees_what_was_before_it_and_not_itself() -> None:
    scope, _ = scoped(planned("FROM a\nENV A=1\nENV A=2 B=$A\n"))
    assert scope.environment == {"A": "2", "B": "1"}


def test_a_stage_inherits_the_scope_of_its_base() -> None:
    made = planned("FROM a AS one\nARG X=1\nENV Y=2\nFROM one\nENV Z=$X$Y\n")
    scope, _ = scoped(made)
    inherited, _ = scoped(made, 1, scope.inherited())
    assert inherited.environment["Z"] == "12"
    assert "Z" not in scope.environment


def test_platform_arguments_need_a_declaration_in_the_stage() -> None:
    made = planned("FROM a\nARG TARGETARCH\nRUN x\n", platform=ARM)
    scope, (arg, run) = scoped(made)
    assert scope.environment == {"TARGETARCH": "arm64"}
    assert isinstance(arg, Arg)
    assert isinstance(run, Run)


def test_mounts_are_read_with_their_variables() -> None:
    made = planned("FROM a\nARG ID=x TYPE=cache\nRUN --mount=type=$TYPE,id=$ID,target=/c,sharing=locked,uid=1 true\n")
    _, (_, run) = scoped(made)
    assert isinstance(run, Run)
    (mount,) = run.mounts
    assert (mount.type, mount.id, mount.target, mount.sharing, mount.uid, mount.readonly) == (
        "cache", "x", "/c", "locked", 1, False,
    )  # fmt: skip
