"""What `headrace doctor` makes of many findings."""

from headrace.cli.doctor import summed_up
from headrace.model.sandbox import Finding


def control(number: int, status: str = "ok") -> Finding:
    return Finding.model_validate(
        {"subject": f"H{number}", "status": status, "detail": "", "control": f"H{number}", "chapter": "identity"}
    )


def test_controls_that_hold_are_one_line_for_each_chapter() -> None:
    kernel = Finding(subject="kernel", status="ok", detail="6.1")
    first, chapter = summed_up([control(1), control(2), kernel, control(3), control(9)])
    assert first == kernel
    assert (chapter.subject, chapter.status, chapter.detail) == ("identity", "ok", "4 controls hold: H1 to H3, H9")


def test_one_that_does_not_hold_is_never_summed_up() -> None:
    shown = summed_up([control(1), control(2, "missing"), control(3, "warning")])
    assert [(finding.subject, finding.status) for finding in shown] == [
        ("H2", "missing"),
        ("H3", "warning"),
        ("identity", "ok"),
    ]
