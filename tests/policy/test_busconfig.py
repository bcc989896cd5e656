"""busconfig files: what harnesses write is taken, and nothing is taken that is not done."""

from pathlib import Path

import pytest

from policy.busconfig import ConfigError, load
from policy.limits import Limits

DOCTYPE = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
"""
ALLOW = """<policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
</policy>"""
LISTEN = "<listen>unix:tmpdir=/tmp</listen>"


def written(path: Path, inside: str, before: str = DOCTYPE) -> str:
    file = path / "bus.conf"
    file.write_text(f"{before}<busconfig>\n{inside}\n</busconfig>\n")
    return str(file)


def test_what_harnesses_write(tmp_path: Path) -> None:
    """GTestDBus and python-dbusmock, in their own words."""
    inside = f"<type>session</type><keep_umask/>{LISTEN}<servicedir>/x</servicedir>{ALLOW}"
    configuration = load(written(tmp_path, inside))
    assert configuration.type == "session"
    assert configuration.listen == ("unix:tmpdir=/tmp",)
    assert configuration.auth == ("EXTERNAL",)
    assert configuration.limits == Limits()
    assert configuration.may_connect(7, 7)
    assert not configuration.may_connect(0, 7)
    assert configuration.service_directories
    assert not load(written(tmp_path, LISTEN + ALLOW)).service_directories


def test_everything_else_that_is_taken(tmp_path: Path) -> None:
    inside = f"""<auth>EXTERNAL</auth><listen>unix:path=/a</listen>{LISTEN}
        <standard_session_servicedirs/><limit name="max_replies_per_connection"> 5 </limit>
        {ALLOW.replace("</policy>", '<allow user="*"/></policy>')}"""
    configuration = load(written(tmp_path, inside))
    assert configuration.listen == ("unix:path=/a", "unix:tmpdir=/tmp")
    assert configuration.limits.max_replies_per_connection == 5
    assert configuration.service_directories
    assert configuration.may_connect(1, 2)


REFUSED = {
    "a rule that denies": (LISTEN + ALLOW.replace("</policy>", "<deny own='a'/></policy>"), 8),
    "a narrower rule": (LISTEN + ALLOW.replace('own="*"', 'own="a.b"'), 7),
    "a rule more": (LISTEN + ALLOW.replace("</policy>", "<allow group='x'/></policy>"), 8),
    "eavesdropping not allowed": (LISTEN + ALLOW.replace(' eavesdrop="true"', "", 2), 5),
    "a policy for a user": (LISTEN + ALLOW.replace('context="default"', 'user="root"'), 4),
    "no right to own": (LISTEN + ALLOW.replace('<allow own="*"/>', ""), 10),
    "no policy": (LISTEN, 6),
    "no listen": (ALLOW, 10),
    "an include": (f"{LISTEN}{ALLOW}\n<include>/x</include>", 9),
    "an unknown element": (f"{LISTEN}\n<cow/>{ALLOW}", 5),
    "an unknown attribute": (f"<listen colour='red'>x</listen>{ALLOW}", 4),
    "another mechanism": (f"{LISTEN}<auth>ANONYMOUS</auth>{ALLOW}", 4),
    "an unknown limit": (f"{LISTEN}<limit name='cows'>1</limit>{ALLOW}", 4),
    "a limit without number": (f"{LISTEN}<limit name='auth_timeout'>x</limit>{ALLOW}", 4),
    "a limit of time that nobody keeps": (
        f"{LISTEN}\n<limit name='reply_timeout'>9</limit>{ALLOW}",
        5,
    ),
    "a limit without name": (f"{LISTEN}<limit>1</limit>{ALLOW}", 4),
    "a policy without context": (f"{LISTEN}{ALLOW}<policy>", 8),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_its_place(tmp_path: Path, what: str) -> None:
    inside, line = REFUSED[what]
    with pytest.raises(ConfigError, match=rf"bus\.conf:{line}: "):
        load(written(tmp_path, inside))


def test_entities_are_refused_before_they_grow(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE busconfig [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n'
    with pytest.raises(ConfigError, match="entity 'a'"):
        load(written(tmp_path, LISTEN + ALLOW, bomb))


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = Path(written(tmp_path, LISTEN + ALLOW))
    content = whole.read_bytes().rstrip()
    for end in range(len(content)):
        whole.write_bytes(content[:end])
        with pytest.raises(ConfigError):
            load(str(whole))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(str(tmp_path / "none"))
