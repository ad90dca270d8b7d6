import { Namespace, SubjectSet, Context, } from '@ory/keto-namespace-types';
/* block */
export class User implements Namespace { related: { manager: User[]; } };
class Group implements Namespace { related: { members: (User | Group)[], }; }
class Folder implements Namespace {
  related: { parents: Array<File | Folder> viewers: Array<SubjectSet<Group, "members">> "with.dots": SubjectSet<Group, 'members'>[] }
  permits = {
    view: (ctx: Context): boolean => this.related.viewers.includes(ctx.subject),
    'quoted': (ctx) => this.related["with.dots"].includes(ctx.subject), // end
  };
}
class File implements Namespace {
  related: { parents: Folder[] owners: User[] }
  permits = {
    view: (ctx: Context) => (this.related.parents.traverse((p) => p.related.viewers.includes(ctx.subject),)
      && this.related.parents.traverse(p => p.permits.view(ctx))) || !(this.permits.not(ctx)),
    not: (ctx: Context): boolean => !this.related.owners.includes(ctx.subject)
  }
}
