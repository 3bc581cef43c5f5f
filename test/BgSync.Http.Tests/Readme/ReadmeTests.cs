using System.Collections;
using System.Globalization;
using System.Text.RegularExpressions;
using BgSync.Http.Outcomes;
using Microsoft.Extensions.Logging;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Readme;

/// <summary>The statements of the README are true.</summary>
public sealed partial class ReadmeTests
{
    [Fact]
    public void Its_code_is_compiled_and_run_by_the_tests()
    {
        var snippets = string.Concat(SourceTree.SnippetFiles().Select(static file => ReadmeText.Normalise(SourceTree.Read(file)) + "\n"));
        var blocks = ReadmeText.Blocks("csharp").ToArray();

        Assert.NotEmpty(blocks);
        Assert.All(blocks, block => Assert.True(snippets.Contains($"\n{ReadmeText.Normalise(block)}\n", StringComparison.Ordinal), block));
    }

    [Fact]
    public void Its_table_of_options_has_every_option_in_its_order_with_its_default()
    {
        var options = new BackgroundSyncOptions();
        var groups = OptionsOf(options).Where(static option => IsGroup(option.Value));

        Assert.Equal(
            OptionsOf(options).Where(static option => !IsGroup(option.Value))
                .Concat(groups.SelectMany(group => OptionsOf(group.Value!, $"{group.Name}.")))
                .Select(static option => (option.Name, Describe(option.Value))),
            ReadmeText.Table("| Option | Default | What it says |")
                .Where(static row => !row[0].StartsWith("**", StringComparison.Ordinal))
                .Select(static row => (row[0].Trim('`'), row[1].Replace("`", "", StringComparison.Ordinal))));
    }

    [Fact]
    public void Its_links_into_itself_and_into_the_repository_lead_somewhere()
    {
        var anchors = Heading().Matches(ReadmeText.All).Select(static heading => $"#{Slug(heading.Groups[1].Value)}").ToHashSet();
        var targets = Target().Matches(ReadmeText.All).Select(static link => link.Groups[1].Value).ToArray();

        Assert.Contains(targets, anchors.Contains);
        Assert.All(targets, target => Assert.True(anchors.Contains(target) || Path.Exists(SourceTree.PathOf(target)), target));
    }

    [Fact]
    public void Its_table_of_responses_is_what_becomes_of_them()
    {
        var rows = ReadmeText.Table("| Response to a replay | Settlement | What becomes of the entry |").ToArray();
        var entry = new QueuedEntry
        {
            Id = 1,
            Queue = "test",
            Lane = "",
            Request = new() { Method = HttpMethod.Post, Uri = new("https://api.test/") },
            Timestamp = default,
        };
        var sent = new SentRequest(HttpMethod.Post, entry.Request.Uri, HasKey: true, IsRepeatable: true, AddedExpect: false);

        Assert.All(Enumerable.Range(200, 400).Except([304]), status => Assert.Equal(
            rows.First(row => Names(row[0], status))[1],
            OutcomeRules.Decide(
                entry,
                sent,
                new Answer { StatusCode = status, RedirectedTo = status is >= 300 and < 400 ? "elsewhere" : null },
                new BackgroundSyncOptions()).GetType().Name));
    }

    [Fact]
    public void Its_table_for_those_who_come_from_Workbox_names_what_is_there()
    {
        var api = SourceTree.Read("test/BgSync.Http.Tests/Conventions/PublicApi.txt");
        var names = ReadmeText.Table("| Workbox | here | What differs |")
            .SelectMany(row => Name().Matches(row[1]))
            .Select(name => name.Groups[1].Value)
            .Except([nameof(ILogger), nameof(InvalidOperationException), nameof(ArgumentException)])
            .ToArray();

        Assert.True(names.Length > 30);
        Assert.All(names, name => Assert.Matches($@"\b{name}\b", api));
    }

    [Fact]
    public void It_names_every_cause_of_a_dead_letter() => Assert.All(
        Enum.GetNames<DeadLetterCause>(), cause => Assert.Contains($"`{cause}`", ReadmeText.All, StringComparison.Ordinal));

    [GeneratedRegex("`(?:[A-Za-z]+\\.)?([A-Z][A-Za-z]+)[(`]")]
    private static partial Regex Name();

    [GeneratedRegex(@"^#+ (.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"\]\(((?!https:)[^)]+)\)")]
    private static partial Regex Target();

    [GeneratedRegex(@"[^a-z0-9 _-]")]
    private static partial Regex Punctuation();

    /// <summary>The options of a group in their order, with their defaults.</summary>
    private static IEnumerable<(string Name, object? Value)> OptionsOf(object group, string path = "") => group.GetType().GetProperties()
        .OrderBy(static option => option.MetadataToken)
        .Select(option => (path + option.Name, option.GetValue(group)));

    private static bool IsGroup(object? value) => value?.GetType().Name.EndsWith("Options", StringComparison.Ordinal) ?? false;

    /// <summary>The anchor that GitHub gives a heading.</summary>
    private static string Slug(string heading) =>
        Punctuation().Replace(heading.ToLowerInvariant(), "").Replace(' ', '-');

    private static bool Names(string cell, int status) =>
        cell == "any other" || cell.Split(' ', ',').Any(word => word == $"{status}" || word == $"{status / 100}xx");

    private static string Describe(object? value) => value switch
    {
        null => "null",
        TimeSpan time when time == Timeout.InfiniteTimeSpan => "for ever",
        TimeSpan { Days: > 0 and var days } => days == 1 ? "1 day" : $"{days} days",
        TimeSpan { TotalMinutes: >= 1 and var minutes, Seconds: 0 } => $"{minutes} min",
        TimeSpan time => $"{time.TotalSeconds} s",
        bool flag => flag ? "true" : "false",
        int and > 1024 and var length when length % 1024 == 0 => $"{length / 1024} KiB",
        int number => number.ToString("N0", CultureInfo.InvariantCulture),
        RouteCollection { Count: 0 } => "none",
        Delegate code => $"{code.Method.DeclaringType!.Name}.{code.Method.Name}",
        IEnumerable set and not string => string.Join(", ", set.Cast<object>()) is { Length: > 0 } items ? items : "none",
        _ => value.ToString()!,
    };
}
