import errno
import hashlib
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webserver import Site, serving

from curette.data import download
from curette.data.download import REACH, TRIES, Remote, _UnreachedError, fetch
from curette.errors import DataError, SettingError

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(CONTENT)) as found:
        yield found


def md5(content: bytes) -> str:
    return "md5:" + hashlib.md5(content, usedforsecurity=False).hexdigest()


def get(site: Site, path: Path, checksum: str = md5(CONTENT), **more) -> bytes:
    return fetch(Remote(site.url, checksum), path, wait=0, **more).read_bytes()


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_whole_file_with_progress(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = tmp_path / "new" / "folder" / "a.bin"
    assert get(site, path, progress=lambda done, total: seen.append((done, total))) == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert left(path.parent) == ["a.bin"]
    assert get(site, path) == CONTENT
    assert len(site.asked) == 1  # it was there already


def test_sha256_and_no_checksum(site: Site, tmp_path: Path) -> None:
    assert get(site, tmp_path / "a", "sha256:" + hashlib.sha256(CONTENT).hexdigest()) == CONTENT
    assert get(site, tmp_path / "b", "") == CONTENT


def test_name_of_the_file() -> None:
    assert Remote("http://x.org/sets/set%20one.bin?download=1").name == "set one.bin"
    with pytest.raises(SettingError, match="neither 'md5"):
        Remote("http://x.org/a", "md5:123")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    breaks=st.integers(0, 6),
    after=st.integers(1, len(CONTENT)),
    ranges=st.booleans(),
    length=st.booleans(),
    tag=st.sampled_from(['"v1"', 'W/"weak"', ""]),
)
def test_connections_that_break_are_taken_up(
    tmp_path_factory: pytest.TempPathFactory, breaks: int, after: int, ranges: bool, length: bool, tag: str
) -> None:
    """However often and wherever it breaks, with and without ranges, lengths and tags: the same bytes, or an error.

    Without a length a break looks like the end; then only the checksum tells, and nothing keeps the name.
    """
    folder = tmp_path_factory.mktemp("broken")
    with serving(Site(CONTENT, tag, ranges, breaks, after, length=length)) as site:
        resumed = ranges and length and tag == '"v1"'
        if resumed or breaks == 0 or after == len(CONTENT):
            assert get(site, folder / "a") == CONTENT
        else:
            with suppress(DataError):
                assert get(site, folder / "a") == CONTENT
        assert set(left(folder)) <= ({"a"} if (folder / "a").exists() else {"a.part", "a.part.json"})


def test_it_goes_on_where_it_broke_off(site: Site, tmp_path: Path) -> None:
    site.breaks, site.after = 2, 3000
    assert get(site, tmp_path / "a") == CONTENT
    assert [a.get("Range") for a in site.asked] == [None, "bytes=3000-", "bytes=6000-"]
    assert site.asked[1]["If-Range"] == '"v1"'


def test_a_later_run_goes_on(site: Site, tmp_path: Path) -> None:
    site.breaks, site.after = 1, 3000
    site.status, site.failures = 503, 0
    path = tmp_path / "a"
    with pytest.raises(DataError, match=r"0\.0 MB that have arrived are kept: the same command goes on"):
        get(site, path, progress=lambda *_: setattr(site, "failures", -1))
    assert left(tmp_path) == ["a.part", "a.part.json"]
    site.failures = 0
    assert get(site, path) == CONTENT
    assert site.asked[-1]["Range"] == "bytes=3000-"
    assert left(tmp_path) == ["a"]


def test_another_file_on_the_server_starts_anew(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"older" * 10)
    (tmp_path / "a.part.json").write_text(json.dumps({"url": site.url, "version": '"v0"'}))
    assert get(site, tmp_path / "a") == CONTENT
    assert site.asked[0]["If-Range"] == '"v0"'


def test_a_longer_old_part_than_the_file_starts_anew(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    (tmp_path / "a.part.json").write_text(json.dumps({"url": site.url, "version": '"v1"'}))
    assert get(site, tmp_path / "a") == CONTENT


def test_stopped_between_the_last_byte_and_the_name(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT)
    (tmp_path / "a.part.json").write_text(json.dumps({"url": site.url, "version": '"v1"'}))
    assert get(site, tmp_path / "a") == CONTENT
    assert len(site.asked) == 1


@pytest.mark.parametrize("facts", ["", "{", "[]", '{"url": "http://elsewhere/a", "version": "1"}'])
def test_a_part_of_unknown_origin_is_not_continued(facts: str, site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"who knows")
    if facts:
        (tmp_path / "a.part.json").write_text(facts)
    assert get(site, tmp_path / "a") == CONTENT
    assert "Range" not in site.asked[0]


def test_a_server_that_ignores_ranges(site: Site, tmp_path: Path) -> None:
    site.ranges, site.breaks, site.after = False, 1, 3000
    assert get(site, tmp_path / "a") == CONTENT


def test_a_server_that_lies_about_the_length(site: Site, tmp_path: Path) -> None:
    site.lies, site.ranges = 10, False
    with pytest.raises(DataError, match="cannot be downloaded"):
        get(site, tmp_path / "a", "")
    assert "a" not in left(tmp_path)
    assert len(site.asked) <= TRIES + 1


def test_a_lie_about_the_length_is_found_out_by_asking_for_the_rest(site: Site, tmp_path: Path) -> None:
    site.lies = 10
    assert get(site, tmp_path / "a", "") == CONTENT
    assert site.asked[-1]["Range"] == f"bytes={len(CONTENT)}-"


def test_truncated_on_the_way_is_no_file(site: Site, tmp_path: Path) -> None:
    site.breaks, site.after, site.tag = -1, 100, ""
    with pytest.raises(DataError, match=r"ended after 100 of 10240 bytes"):
        get(site, tmp_path / "a", "")
    assert "a" not in left(tmp_path)


def test_another_checksum_is_deleted(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"md5 {md5(CONTENT)[4:]}, but 0{{32}} is published"):
        get(site, tmp_path / "a", "md5:" + 32 * "0")
    assert left(tmp_path) == []


def test_a_wrong_file_of_that_name_is_replaced_only_by_the_right_one(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    site.status, site.failures = 404, 1
    with pytest.raises(DataError, match="The file that is there has another checksum"):
        get(site, path)
    assert path.read_bytes() == b"mine"
    assert get(site, path) == CONTENT


def test_errors_that_pass_are_waited_for(site: Site, tmp_path: Path) -> None:
    site.status, site.failures = 503, TRIES - 1
    assert get(site, tmp_path / "a") == CONTENT


def test_no_such_file_is_told_at_once(site: Site, tmp_path: Path) -> None:
    site.status, site.failures = 404, -1
    with pytest.raises(DataError, match="the server answers 404"):
        get(site, tmp_path / "a")
    assert len(site.asked) == 1


def test_without_a_network_it_says_how_to_go_on(tmp_path: Path) -> None:
    with serving(Site(CONTENT)) as site:
        pass
    with pytest.raises(DataError) as caught:  # the port is closed by now
        get(site, tmp_path / "a.bin")
    message = str(caught.value)
    for part in (
        site.url,
        "cannot be downloaded",
        "another machine",
        str(tmp_path / "a.bin"),
        md5(CONTENT)[4:],
    ):
        assert part in message


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def monotonic(self) -> float:
        return sum(self.slept)


def test_without_a_connection_it_is_told_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("curette.data.download.time", clock)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DataError, match=r"Name or service not known.*Without a network"):
        fetch(Remote("https://files.example/a.bin"), tmp_path / "a.bin")
    assert clock.slept == [1.0]


def test_a_host_that_never_answers_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = Clock(), []

    def silent(*_: object, timeout: float = 0, **__: object) -> None:
        asked.append(timeout)
        clock.sleep(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr("curette.data.download.time", clock)
    monkeypatch.setattr(socket, "create_connection", lambda place, timeout, *_: silent(timeout=timeout))
    with pytest.raises(DataError, match=r"timed out\. Without a network"):
        fetch(Remote("http://192.0.2.1/a.bin"), tmp_path / "a.bin")
    assert asked == [REACH]


def test_a_server_that_was_reached_is_waited_for(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, answers = Clock(), []

    def gone(*_: object, **__: object) -> None:
        answers.append(1)
        raise _UnreachedError("Network is unreachable")

    def once(*given: Any) -> None:
        monkeypatch.setattr("curette.data.download._connect", gone)
        real(*given)

    real = download._connect
    monkeypatch.setattr("curette.data.download.time", clock)
    monkeypatch.setattr("curette.data.download._connect", once)
    site.breaks, site.after = 1, 100
    with pytest.raises(DataError, match="unreachable"):
        fetch(Remote(site.url), tmp_path / "a.bin")
    assert len(answers) == TRIES
    assert sum(clock.slept) > 20


FAULTS = [
    ssl.SSLError(1, "decryption failed or bad record mac"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    OSError(errno.ENETDOWN, "Network is down"),
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    http.client.LineTooLong("chunk size"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_faults_of_the_network_while_reading_are_taken_up(
    fault: Exception, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, real = [], http.client.HTTPResponse.read1

    def read1(answer: http.client.HTTPResponse, _: int = -1) -> bytes:
        reads.append(1)
        if len(reads) == 2:
            raise fault
        return real(answer, 100)

    monkeypatch.setattr(http.client.HTTPResponse, "read1", read1)
    assert get(site, tmp_path / "a") == CONTENT
    assert [asked.get("Range") for asked in site.asked] == [None, "bytes=100-"]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_faults_of_the_network_that_stay_are_not_blamed_on_the_disk(
    fault: Exception, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read1(*_: object) -> bytes:
        raise fault

    monkeypatch.setattr(http.client.HTTPResponse, "read1", read1)
    with pytest.raises(DataError, match=r"cannot be downloaded: .*Without a network"):
        get(site, tmp_path / "a")
    assert len(site.asked) == TRIES


def test_a_full_disk_is_not_blamed_on_the_network(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("curette.data.download._remember", full)
    with pytest.raises(DataError, match=r"cannot be written: .*No space left on device"):
        get(site, tmp_path / "a")
    assert len(site.asked) == 1


def test_two_at_once(site: Site, tmp_path: Path) -> None:
    lock = tmp_path / "a.part.lock"
    lock.write_text(str(os.getpid()))
    with pytest.raises(DataError, match="Another process is downloading a"):
        get(site, tmp_path / "a")
    lock.write_text("4194305")  # more than the largest number of a process
    assert get(site, tmp_path / "a") == CONTENT
    assert left(tmp_path) == ["a"]


def test_a_folder_that_is_a_file(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        get(site, tmp_path / "x" / "a")
