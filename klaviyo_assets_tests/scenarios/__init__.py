"""Model-based tests: generate scenarios of an account with syncs in between, and compare the tables with Klaviyo's records after each sync.

    scenario.py    actions, syncs and scenarios: plain data
    generation.py  hypothesis strategies for scenarios; hypothesis shrinks a scenario that fails
    world.py       the sandbox, a client and a database for one scenario, in this process
    with_host.py   syncs a type together with its host
    over_http.py   the same with real processes, requests and files
    history.py     every version of every record, recorded by the harness itself
    promises.py    the versions that a table may hold after the syncs so far
    rows.py        a record's JSON as a table row, decoded independently of the library
    rewrites.py    checks that only rows with another content are rewritten
    incomplete.py  rows that an interrupted sync has left without their included resources
    auditing.py    the audit of a world
    actions.py     applies actions to the account
    stats.py       counts
    runner.py      runs a scenario and compares the table after each sync
    search.py      runs scenarios until one fails
    suites.py      which scenarios run
    command.py     runs thousands of them
    faults.py      faults that are injected into the library, to show that the tests catch them

Nothing here plans, slices or merges with the library's code.
"""
