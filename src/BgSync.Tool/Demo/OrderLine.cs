namespace BgSync.Tool.Demo;

/// <summary>A line of an <see cref="Order"/>.</summary>
internal sealed record OrderLine(string Article, int Quantity, decimal Price);
