"""Study files: what is right is read, and what is wrong is one line that names the remedy."""

import pytest

from optigram.errors import InputError
from optigram.study.runner import _differences
from optigram.study.spec import Study
from optigram.targets.build import direction

ARM = '[[arms]]\nname = "a"\ntargets = ["language:a"]\nmethods = ["crp", "gbl:fair/200"]\n'


def test_a_study_is_read(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('name = "x"\nseeds = [0, 3]\n' + ARM + "budget = 100\n")
    study = Study.read(path)
    assert study.seeds == (0, 3)
    assert study.arms[0].budget == 100
    assert study.length is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ARM + "bugdet = 3", "unknown key 'arms[0].bugdet'; did you mean budget?"),
        ('modle = "x"\n' + ARM, "did you mean model?; known are name, model, corpus"),
        (ARM.replace("crp", "crpp"), "unknown method 'crpp'; did you mean crp?"),
        (ARM + "budget = -1", "arms[0].budget: Input should be greater than 0"),
        (ARM.replace("200", "0"), "cannot shorten 'gbl:fair/0'"),
        (ARM + ARM, "expected arms of different names, got a, a"),
        ("seeds = []\n" + ARM, "seeds"),
        ("", "arms"),
        ("x = ", "is not TOML"),
    ],
)
def test_bad_studies_are_one_line(tmp_path, text, told):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        Study.read(path)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the study .*none\.toml"):
        Study.read(tmp_path / "none.toml")


def test_differences_are_paths_into_the_settings():
    old = {"arms": [{"budget": 1, "name": "a"}], "seeds": [0], "x": 1}
    new = {"arms": [{"budget": 2, "name": "a"}], "seeds": [0, 1], "y": 1}
    assert _differences(old, new) == ["arms[0].budget: 1 -> 2", "seeds[1]: None -> 1", "x: 1 -> None", "y: None -> 1"]
    assert _differences(old, old) == []


def test_a_target_in_memory_is_refused_with_what_to_do():
    held = direction("visual.hidden", [1.0] * 8, name="probe")
    with pytest.raises(InputError, match=r"expected addresses.*FILE\.safetensors#NAME.*or use find"):
        Study.checked({"arms": [{"name": "a", "targets": [held], "methods": ["crp"]}]})
