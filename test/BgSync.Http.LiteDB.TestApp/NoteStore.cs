using BgSync.Http.LiteDB.Files;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace BgSync.Http.LiteDB.TestApp;

/// <summary>The least that a store is.</summary>
internal sealed class NoteStore : IDisposable
{
    private readonly LiteDatabase _database;
    private readonly LiteWriter _writer;

    public NoteStore(
        string path, string? password = null, ILogger? logger = null, byte version = 1, Func<string, Stream>? openFile = null)
    {
        _database = new LiteDatabase(
            path,
            password,
            new NoteSchema { Version = version },
            TimeProvider.System,
            logger ?? NullLogger.Instance,
            openFile ?? StableFileStream.Open);
        _writer = new LiteWriter(_database);
    }

    public long Commits => _writer.Commits;

    public Task AddAsync(long id) => RunAsync(session => NoteSchema.Add(session, Note.Of(id)));

    public Task DeleteAsync(long id) => RunAsync(session => NoteSchema.Delete(session, id));

    public Task<SortedSet<long>> ReadAllAsync() => _writer.RunAsync(NoteSchema.ReadAll, CancellationToken.None);

    public Task RunAsync(Action<LiteSession> run) => _writer.RunAsync(
        session =>
        {
            run(session);
            return 0;
        },
        CancellationToken.None);

    public void Dispose()
    {
        _writer.Dispose();
        _database.Dispose();
    }
}
