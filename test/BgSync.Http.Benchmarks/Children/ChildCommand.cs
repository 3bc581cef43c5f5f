using System.CommandLine;
using BgSync.Http.Benchmarks.Bodies;
using BgSync.Http.Benchmarks.Idle;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queues;

namespace BgSync.Http.Benchmarks.Children;

/// <summary>The command that the benchmarks start as a process of its own, to be watched from outside.</summary>
internal static class ChildCommand
{
    public const string Name = "child";

    public static Command Create(IReadOnlyList<QueueSubject> subjects)
    {
        Command child = new(Name, "Not to be used by hand.") { Hidden = true };
        child.Add(CreateAdd(subjects));
        child.Add(BodyChild.CreateCommand());
        child.Add(IdleChild.CreateCommand());
        return child;
    }

    private static Command CreateAdd(IReadOnlyList<QueueSubject> subjects)
    {
        var name = new Argument<string>("subject");
        var folder = new Argument<string>("folder");
        var callers = new Argument<int>("callers");
        var entries = new Argument<int>("entries");
        Command add = new("add") { name, folder, callers, entries };
        add.SetAction(async result =>
        {
            var subject = subjects.Single(subject => subject.Name == result.GetValue(name));
            await using var session = await subject.OpenAsync(result.GetValue(folder)!);
            var body = new byte[1024];
            await Load.RunAsync(result.GetValue(callers), result.GetValue(entries), _ => session.AddAsync("", body));
        });
        return add;
    }
}
