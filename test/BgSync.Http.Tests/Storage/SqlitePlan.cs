using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using Xunit;

namespace BgSync.Http.Tests.Storage;

/// <summary>How SQLite finds the rows of a statement.</summary>
internal static partial class SqlitePlan
{
    /// <summary>Asserts that no statement reads a whole table or a whole queue, or sorts.</summary>
    public static void AssertIndexed(SqliteConnection connection, IEnumerable<string> statements)
    {
        foreach (var sql in statements.Where(sql => DataStatement().IsMatch(sql) && !ProbeStatement().IsMatch(sql)))
        {
            using var command = connection.CreateCommand();
            command.CommandText = "EXPLAIN QUERY PLAN " + sql;
            foreach (var name in Parameter().Matches(sql).Select(match => match.Value).Distinct())
            {
                command.Parameters.AddWithValue(name, DBNull.Value);
            }

            using var plan = command.ExecuteReader();
            while (plan.Read())
            {
                Assert.False(WholeTableStep().IsMatch(plan.GetString(3)), $"{plan.GetString(3)}\nin\n{sql}");
            }
        }
    }

    [GeneratedRegex(@"^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)")]
    private static partial Regex DataStatement();

    // Touches one row of a table at the opening.
    [GeneratedRegex(@"^SELECT \* FROM \w+ LIMIT 1$")]
    private static partial Regex ProbeStatement();

    [GeneratedRegex(@"\$\w+")]
    private static partial Regex Parameter();

    // The bodies that are being written have an index that holds no others.
    [GeneratedRegex(
        @"^SCAN (?!body USING (COVERING )?INDEX body_owner)(entry|lane|queue|dead_letter|body|body_chunk|receipt|attempt|held)\b"
        + @"|^SEARCH lane USING PRIMARY KEY \(queue=\?\)|TEMP B-TREE")]
    private static partial Regex WholeTableStep();
}
