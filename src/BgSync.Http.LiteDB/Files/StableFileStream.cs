using BgSync.Http.Storage.Files;

namespace BgSync.Http.LiteDB.Files;

/// <summary>A file whose <see cref="Flush()"/> returns when what was written is on stable storage. Nobody else can open it.</summary>
internal sealed class StableFileStream : FileStream
{
    private StableFileStream(string path, FileStreamOptions options)
        : base(path, options)
    {
    }

    public static StableFileStream Open(string path)
    {
        var options = PrivateFile.Options(FileMode.OpenOrCreate);
        options.BufferSize = 0;
        return new StableFileStream(path, options);
    }

    public override void Flush() => Flush(flushToDisk: true);
}
