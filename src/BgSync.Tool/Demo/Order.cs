namespace BgSync.Tool.Demo;

/// <summary>An order, which the demo's application sends as JSON.</summary>
internal sealed record Order(int Number, string Customer, IReadOnlyList<OrderLine> Lines)
{
    private static readonly string[] _customers = ["Ada", "Grace", "Edsger", "Barbara", "Niklaus"];
    private static readonly string[] _articles = ["tent", "rope", "lamp", "map", "stove", "boots"];

    /// <summary>The same order for the same number, so that its bytes can be compared on arrival.</summary>
    public static Order Sample(int number) => new(
        number,
        _customers[number % _customers.Length],
        [.. Enumerable.Range(0, 1 + (number % 4)).Select(line =>
            new OrderLine(_articles[(number + line) % _articles.Length], 1 + line, 9.90m + (10 * line)))]);
}
