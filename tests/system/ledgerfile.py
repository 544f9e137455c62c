"""The ledger's own file, by liblmdb: to make records older than a test can wait, many, or bad."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path

NOT_FOUND = -30798  # MDB_NOTFOUND
NEXT = 8  # MDB_NEXT
MAP_BYTES = 1 << 28

lmdb = ctypes.CDLL("liblmdb.so.0")
lmdb.mdb_strerror.restype = ctypes.c_char_p


class Value(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("data", ctypes.c_void_p))

    @classmethod
    def of(cls, data: bytes) -> Value:
        return cls(len(data), ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p))

    def bytes(self) -> bytes:
        return ctypes.string_at(self.data, self.size)


def check(rc: int) -> None:
    if rc:
        raise OSError(lmdb.mdb_strerror(rc).decode())


class LedgerFile:
    """One transaction over one map ("uid", "digest" ...); committed where nothing was raised."""

    def __init__(self, folder: Path, name: str) -> None:
        self._env, self._txn = ctypes.c_void_p(), ctypes.c_void_p()
        self._dbi = ctypes.c_uint()
        check(lmdb.mdb_env_create(ctypes.byref(self._env)))
        check(lmdb.mdb_env_set_maxdbs(self._env, 8))
        check(lmdb.mdb_env_set_mapsize(self._env, ctypes.c_size_t(MAP_BYTES)))
        check(lmdb.mdb_env_open(self._env, str(folder).encode(), 0, 0o600))
        check(lmdb.mdb_txn_begin(self._env, None, 0, ctypes.byref(self._txn)))
        check(lmdb.mdb_dbi_open(self._txn, name.encode(), 0, ctypes.byref(self._dbi)))

    def __enter__(self) -> LedgerFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            check(lmdb.mdb_txn_commit(self._txn))
        else:
            lmdb.mdb_txn_abort(self._txn)
        lmdb.mdb_env_close(self._env)

    def records(self) -> dict[bytes, bytes]:
        cursor, key, value = ctypes.c_void_p(), Value(), Value()
        found = {}
        check(lmdb.mdb_cursor_open(self._txn, self._dbi, ctypes.byref(cursor)))
        while (rc := lmdb.mdb_cursor_get(cursor, ctypes.byref(key), ctypes.byref(value),
                                         NEXT)) == 0:
            found[key.bytes()] = value.bytes()
        lmdb.mdb_cursor_close(cursor)
        if rc != NOT_FOUND:
            check(rc)
        return found

    def put(self, records: Mapping[bytes, bytes]) -> None:
        for key, value in records.items():
            check(lmdb.mdb_put(self._txn, self._dbi, ctypes.byref(Value.of(key)),
                               ctypes.byref(Value.of(value)), 0))


# Where a record has its times, eight bytes each (docs/ledger.md).
TIMES = {"uid": (6, 14), "digest": (12, 20, 28)}


def older(value: bytes, name: str, seconds: int) -> bytes:
    for at in TIMES[name]:
        when = int.from_bytes(value[at:at + 8], "big")
        when = max(when - seconds, 1) if when else 0  # 0 is unknown
        value = value[:at] + when.to_bytes(8, "big") + value[at + 8:]
    return value


def backdate(folder: Path, seconds: int) -> None:
    """As if everything had happened so much earlier."""
    for name in TIMES:
        with LedgerFile(folder, name) as ledger:
            ledger.put({key: older(value, name, seconds)
                        for key, value in ledger.records().items()})
