namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>The kinds of content that a matched request is measured with.</summary>
public enum BodyKind
{
    Text,
    Json,
    Bytes,
    Multipart,
    SeekableStream,
    OneShotStream,
}
