# Reads the .trx files of all test projects: the failed and the skipped tests with their reasons, and the sum as the last line.

function attribute(line, name) {
    return match(line, " " name "=\"[^\"]*\"") ? substr(line, RSTART + length(name) + 3, RLENGTH - length(name) - 4) : ""
}

function text(xml) {
    gsub(/<\/?Message>/, "", xml)
    gsub(/^[ \t]+|[ \t\r]+$/, "", xml)
    gsub(/&lt;/, "<", xml)
    gsub(/&gt;/, ">", xml)
    gsub(/&quot;/, "\"", xml)
    gsub(/&#xD;/, "", xml)
    gsub(/&amp;/, "\\&", xml)
    return xml
}

function report(outcome) {
    reporting = 1
    print outcome ": " text(attribute($0, "testName"))
}

/<UnitTestResult / {
    outcome = attribute($0, "outcome")
    if (outcome == "Passed") {
        passed++
    } else if (outcome == "NotExecuted") {
        skipped++
        report("skipped")
    } else {
        failed++
        report("FAILED ")
    }
}

reporting && /<Message>/ { inside = 1 }
inside { print "         " text($0) }
/<\/Message>/ { inside = 0 }
/<\/UnitTestResult>/ { reporting = 0 }

END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }
