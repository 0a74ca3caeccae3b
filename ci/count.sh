#!/bin/sh
# Adds up what the tests of ctest logs (LastTest.log) say: cmocka's "[  PASSED  ] N test(s)", the shell tests'
# "ok - ..." and "not ok - ..."; a test that says neither counts as one. Last line: N passed, N failed.
# Exits with 1 where something failed or nothing ran.
awk '
function finish() {
    if (name == "") return
    if (verdict == "skipped") skips++
    else if (verdict == "failed" || lost) { if (!bad) bad = 1 }
    else if (!good && !bad && !skip) good = 1
    passed += good; failed += bad; skips += skip
    if (bad) print "failed: " name
    name = ""
}
/^[0-9]+\/[0-9]+ Testing: / { finish(); name = $3; good = bad = skip = lost = 0; verdict = "failed"; next }
/^Command: ""$/ { lost = 1 }  # not built: ctest writes "Test Passed." for it
/^\[  PASSED  \] [0-9]+ test/ { good += $4 }
/^\[  FAILED  \] [0-9]+ test/ { bad += $4 }
/^\[  SKIPPED \] [0-9]+ test/ { skip += $4 }
/^ok - / { good++ }
/^not ok - / { bad++ }
/^skipped - / { skip++ }
/^Test Passed\.$/ { verdict = "passed" }
/^Test Skipped\.$/ { verdict = "skipped"; }
END {
    finish()
    if (skips) print skips + 0 " skipped"
    print passed + 0 " passed, " failed + 0 " failed"
    exit failed > 0 || passed == 0
}' "$@"
