using System.Diagnostics;
using BgSync.Http.LiteDB.TestApp;
using TestKit;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Durability;

/// <summary>Stores on one file in a folder of a test's own.</summary>
public abstract class NoteStoreFixture : IDisposable
{
    private readonly TempDirectory _directory = new();

    protected string Folder => _directory.Path;

    protected string NotesPath => _directory.File("notes.db");

    public void Dispose()
    {
        _directory.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected NoteStore Open(string? password = null) => new(NotesPath, password);

    /// <summary>Makes a file with some notes, from the first to the last.</summary>
    private protected async Task FillAsync(int first, int last, string? password = null)
    {
        using var store = Open(password);
        await Task.WhenAll(Enumerable.Range(first, last - first + 1).Select(id => store.AddAsync(id)));
    }

    private protected static async Task<QueueStoreException> AssertFaultAsync(StoreFault fault, Func<Task> call)
    {
        var exception = await Assert.ThrowsAsync<QueueStoreException>(call);
        Assert.Equal(fault, exception.Fault);
        return exception;
    }

    protected static SortedSet<long> Ids(int first, int last) => [.. Enumerable.Range(first, last - first + 1)];

    /// <summary>Runs a command of the system, without which the test cannot be made.</summary>
    protected static void RunOrSkip(string command, params IEnumerable<string> arguments)
    {
        if (!OperatingSystem.IsLinux() || !Run(command, arguments))
        {
            Unpermitted.Skip($"This machine or account does not permit '{command}'.");
        }
    }

    protected static bool Run(string command, params IEnumerable<string> arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
