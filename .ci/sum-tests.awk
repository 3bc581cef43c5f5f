# Reads the .trx files of all test projects: the skipped tests with their reasons, and the sum as the last line.

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

/<UnitTestResult / {
    outcome = attribute($0, "outcome")
    skipping = outcome == "NotExecuted"
    if (skipping) {
        skipped++
        print "skipped: " text(attribute($0, "testName"))
    } else if (outcome == "Passed") {
        passed++
    } else {
        failed++
    }
}

skipping && /<Message>/ { inside = 1 }
inside { print "         " text($0) }
/<\/Message>/ { inside = 0 }
/<\/UnitTestResult>/ { skipping = 0 }

END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }
