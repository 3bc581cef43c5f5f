using System.Net.Http.Json;

namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>Contents of 1 KiB.</summary>
internal static class Bodies
{
    private const int Length = 1024;

    private static readonly byte[] _bytes = new byte[Length];
    private static readonly string _text = new('x', Length);
    private static readonly Dictionary<string, string> _object = new() { ["note"] = _text };

    public static HttpContent Create(BodyKind kind) => kind switch
    {
        BodyKind.Text => new StringContent(_text),
        BodyKind.Json => JsonContent.Create(_object),
        BodyKind.Bytes => new ByteArrayContent(_bytes),
        BodyKind.Multipart => new MultipartFormDataContent { { new ByteArrayContent(_bytes), "photo", "photo.jpg" } },
        BodyKind.SeekableStream => new StreamContent(new MemoryStream(_bytes)),
        BodyKind.OneShotStream => new StreamContent(new OneShot(_bytes)),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
    };

    private sealed class OneShot(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
