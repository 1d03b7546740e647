/// Programs for `python3` that use a database as applications do. The database is the first argument.
enum SQLiteWriter {
    static let python = "/usr/bin/python3"

    /// Writes without a pause, in the journal mode of the second argument. What each transaction adds to `a` it adds to `b`.
    static let busy = """
        import random, sqlite3, sys
        d = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
        d.execute("pragma journal_mode=" + sys.argv[2])
        d.execute("create table a(n int, t blob)")
        d.execute("create table b(n int, t blob)")
        d.execute("insert into a values(1, '')")
        d.execute("insert into b values(1, '')")
        print("ready", flush=True)
        for i in range(20000):
            d.execute("begin immediate")
            n = random.randint(1, 99)
            for _ in range(20):
                d.execute("insert into a values(?, randomblob(1500))", (n,))
                d.execute("insert into b values(?, randomblob(700))", (n,))
            if i % 5 == 4:
                for t in "ab":
                    d.execute("delete from " + t + " where rowid % 7 = 3 or rowid < (select max(rowid) from b) - 3000")
            d.execute("commit")
        """

    /// Is gone in the middle of a transaction that reached the file, so that its journal must be rolled back.
    static let killed = """
        import os, sqlite3, sys
        d = sqlite3.connect(sys.argv[1], isolation_level=None)
        d.execute("pragma cache_size=2")
        d.execute("create table a(n int, t blob)")
        d.execute("create table b(n int)")
        d.execute("insert into a values(7, '')")
        d.execute("insert into b values(7)")
        d.execute("begin immediate")
        for _ in range(500):
            d.execute("insert into a values(1, randomblob(3000))")
        print("ready", flush=True)
        os.kill(os.getpid(), 9)
        """

    static let locked = """
        import sqlite3, sys, time
        d = sqlite3.connect(sys.argv[1], isolation_level=None)
        d.execute("create table a(n int)")
        d.execute("begin exclusive")
        print("ready", flush=True)
        time.sleep(60)
        """

    /// The index lacks what the table has, which only the full check sees.
    static let brokenIndex = """
        import sqlite3, sys
        def go(*statements):
            d = sqlite3.connect(sys.argv[1], isolation_level=None)
            for s in statements:
                d.execute(*s) if isinstance(s, tuple) else d.execute(s)
            d.close()
        go("create table t(x)", "create index i on t(x)")
        d = sqlite3.connect(sys.argv[1])
        row = d.execute("select type, name, tbl_name, rootpage, sql from sqlite_master where name='i'").fetchone()
        d.close()
        go("pragma writable_schema=on", "delete from sqlite_master where name='i'")
        go("insert into t values(1), (2)")
        go("pragma writable_schema=on", ("insert into sqlite_master values(?, ?, ?, ?, ?)", row))
        """

    /// Puts another database in the place of this one, again and again.
    static let replacing = """
        import os, sqlite3, sys
        n = 0
        while True:
            n += 1
            new = sys.argv[1] + ".new"
            d = sqlite3.connect(new, isolation_level=None)
            d.execute("pragma synchronous=off")
            d.execute("create table a(n int, t blob)")
            d.execute("create table b(n int)")
            d.execute("begin")
            d.execute("insert into a values(?, zeroblob(?))", (n, 200000 * (n % 9)))
            d.execute("insert into b values(?)", (n,))
            d.execute("commit")
            d.close()
            os.rename(new, sys.argv[1])
            if n == 1:
                print("ready", flush=True)
        """

    /// Prints `ok` for a database that is sound and in which both tables say the same.
    static let judge = """
        import sqlite3, sys
        d = sqlite3.connect(sys.argv[1])
        found = d.execute("pragma integrity_check").fetchall()
        a, b = (d.execute("select count(*), sum(n) from " + t).fetchone() for t in "ab")
        assert found == [("ok",)], found
        assert a[1] is not None and a[1] == b[1], (a, b)
        print("ok", a[1])
        """

    static let rows = """
        import sqlite3, sys
        d = sqlite3.connect(sys.argv[1])
        d.execute("pragma user_version=12")
        d.execute("create table a(n int, t text)")
        d.executemany("insert into a values(?, ?)", ((i, "%0200d" % i) for i in range(5000)))
        d.execute("create table b(n int)")
        d.execute("insert into b select n from a")
        d.commit()
        """
}
