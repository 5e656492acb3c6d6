import asyncio
import pickle
import sqlite3
from collections import Counter

import pytest

from spatialreasoner.core.errors import WorkError
from spatialreasoner.inference.journal import Journal, Spent
from spatialreasoner.inference.journal_tables import MAX_ROW

ONE = Spent(calls=1, prompt_tokens=10, completion_tokens=5)


@pytest.fixture
def connections(monkeypatch):
    """The connections of a journal (lock, writer, reader), each with the statements that it runs."""
    connect, opened = sqlite3.connect, []

    def traced(*args, **options):
        connection, statements = connect(*args, **options), []
        connection.set_trace_callback(statements.append)
        opened.append((connection, statements))
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return opened


def test_what_was_written_is_there_for_the_next_process(tmp_path):
    async def write(journal):
        await asyncio.gather(*(journal.put_reply(f"k{n}", f"v{n}", policy="ab"[n % 2], spent=ONE) for n in range(100)))
        await journal.put_question("q", "row")

    with Journal(tmp_path / "new" / "journal.sqlite") as journal:
        asyncio.run(write(journal))
        assert journal.get("replies", "k7") == "v7"
    with Journal(tmp_path / "new" / "journal.sqlite") as journal:
        assert journal.get("replies", "k99") == "v99"
        assert journal.get("replies", "q") is None
        assert journal.get("questions", "q") == "row"
        assert dict(journal.spent()) == {name: Spent(calls=50, prompt_tokens=500, completion_tokens=250) for name in "ab"}


def test_waiting_writes_are_committed_together(tmp_path, connections):
    async def write(journal):
        await asyncio.gather(*(journal.put_question(f"k{n}", "v") for n in range(500)))

    with Journal(tmp_path / "journal.sqlite") as journal:
        _, statements = connections[1]
        statements.clear()
        asyncio.run(write(journal))
        kinds = Counter(statement.split()[0].upper() for statement in statements)
    assert kinds["INSERT"] == 500
    assert kinds["COMMIT"] <= 3


def test_writes_that_come_one_after_the_other_share_commits(tmp_path, connections):
    """A write a millisecond, as from sixty requests in flight: a commit costs as much as ten rows."""

    async def write(journal, number):
        await asyncio.sleep(number / 1000)
        await journal.put_question(f"k{number}", "v")

    async def write_all(journal):
        await asyncio.gather(*(write(journal, number) for number in range(300)))

    with Journal(tmp_path / "journal.sqlite") as journal:
        _, statements = connections[1]
        statements.clear()
        asyncio.run(write_all(journal))
        kinds = Counter(statement.split()[0].upper() for statement in statements)
    assert kinds["INSERT"] == 300
    assert kinds["COMMIT"] <= 75


def test_what_a_reply_took_counts_beside_the_one_it_replaces(tmp_path):
    """An empty reply that is asked for again by the same command was paid for, too."""
    empty, answer = (
        Spent(calls=0, prompt_tokens=10, completion_tokens=1024),
        Spent(calls=0, prompt_tokens=10, completion_tokens=5),
    )

    async def ask(journal, spent, kind):
        await journal.put_reply("k", kind, policy="a", spent=spent, kind=kind, attempt=await journal.begin("k", "a", 2000))

    with Journal(tmp_path / "journal.sqlite") as journal:
        asyncio.run(ask(journal, empty, "empty: cut off"))
        asyncio.run(journal.next_round())
    with Journal(tmp_path / "journal.sqlite") as journal:
        asyncio.run(ask(journal, Spent(calls=0, prompt_tokens=0, completion_tokens=0), "unavailable"))
        asyncio.run(journal.forget_unavailable())
        asyncio.run(ask(journal, answer, "answer"))
        assert journal.reply("k").value == "answer"
        assert dict(journal.spent()) == {"a": Spent(calls=3, prompt_tokens=20, completion_tokens=1029)}


def test_one_process_at_a_time(tmp_path):
    with (
        Journal(tmp_path / "journal.sqlite"),
        pytest.raises(WorkError, match="another process works in"),
        Journal(tmp_path / "journal.sqlite"),
    ):
        pass
    with Journal(tmp_path / "journal.sqlite"):
        pass


def test_a_file_that_is_not_a_journal_is_refused(tmp_path):
    (tmp_path / "journal.sqlite").write_bytes(pickle.dumps({"a": 1}) * 1000)
    with pytest.raises(WorkError, match="cannot open the journal"):
        Journal(tmp_path / "journal.sqlite")
    with pytest.raises(WorkError, match="cannot open the journal"):  # and the lock is free again
        Journal(tmp_path / "journal.sqlite")


def test_a_journal_that_cannot_be_written_says_so(tmp_path, connections):
    async def write(journal):
        connections[1][0].execute("PRAGMA query_only = ON")
        await journal.put_question("k", "v")

    with Journal(tmp_path / "journal.sqlite") as journal, pytest.raises(WorkError, match="check the disk's free space"):
        asyncio.run(write(journal))


def test_a_row_that_is_too_long_is_refused_alone(tmp_path):
    async def write(journal):
        return await asyncio.gather(
            journal.put_question("long", "v" * (MAX_ROW + 1)), journal.put_question("short", "v"), return_exceptions=True
        )

    with Journal(tmp_path / "journal.sqlite") as journal:
        refused, kept = asyncio.run(write(journal))
        assert isinstance(refused, WorkError)
        assert f"at most {MAX_ROW} bytes" in str(refused)
        assert kept is None
        assert (journal.get("questions", "short"), journal.get("questions", "long")) == ("v", None)


def test_every_commit_is_on_disk(tmp_path, connections):
    with Journal(tmp_path / "journal.sqlite"):
        connection, _ = connections[1]
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: each commit is an fsync
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    sqlite3.connect(tmp_path / "journal.sqlite").close()
