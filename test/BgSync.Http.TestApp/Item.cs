namespace BgSync.Http.TestApp;

/// <summary>The unit that the trials send: an id that is never used again, in a lane.</summary>
public sealed record Item(string Lane, string Id)
{
    public Uri Uri => new($"lanes/{Lane}/items/{Id}", UriKind.Relative);

    /// <summary>The body on arrival. One in ten is so large that it goes to the store in chunks.</summary>
    public string Body => string.Concat(Enumerable.Repeat($"The item {Id} of lane {Lane}.", Id.EndsWith('0') ? 4_000 : 1));

    /// <summary>Reads the item back from <see cref="Uri"/>.</summary>
    public static Item Parse(string path) => path.Split('/', StringSplitOptions.RemoveEmptyEntries) is ["lanes", var lane, "items", var id]
        ? new Item(lane, id)
        : throw new FormatException($"{path} is not the path of an item.");
}
